package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"pollbridge/event"
	"pollbridge/internal/patience"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/tracing"
	"pollbridge/watch/due"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Events records changes of state; see webhook.Service.
type Events interface {
	// Wanted reports whether anybody wants to know about a session. It asks memory
	// only.
	Wanted(event.Subject) bool
	// Changed makes a change durable before it returns nil. A repeat is no error.
	Changed(ctx context.Context, c event.Change) (published bool, err error)
	// Knows reports whether there is anything about a session, and EraseSession erases
	// it: events are kept longer than sessions.
	Knows(ctx context.Context, sessionID string) (bool, error)
	EraseSession(ctx context.Context, sessionID string) error
}

// Finals keeps final answers; see package finals.
type Finals interface {
	Recent(ctx context.Context, before time.Duration, wanted func(sessionID string) bool, read func([]byte) (*session.Variant, error), use func(*session.Variant, *session.Observation)) error
	Forget(ctx context.Context, sessionID string) error
}

// Ask brings the observation of a session up to date: the one door to the upstream,
// through the cache. It fails where there is none, or only one that is out of date. One that was
// made no later than after is not enough.
type Ask func(ctx context.Context, v *session.Variant, after time.Time) (*session.Observation, error)

// Options is what a Watcher needs besides its configuration. All of it is needed where nothing
// else is said.
type Options struct {
	Store  *store.Store
	Table  *session.Table
	Events Events
	Finals Finals
	Ask    Ask
	// Erase makes memory forget what it knows about a question, in all processes.
	Erase    func(context.Context, *session.Variant) error
	Schedule *Schedule // nil: a fixed one, as configured
	// Waited reports whether a client waits for v's session, in a request that is held. It is asked
	// with the watcher's lock. Nil: nobody does.
	Waited   func(v *session.Variant) bool
	Rate     float64       // polls a second that the upstream takes; 0: any number
	Retain   time.Duration // how long a session is kept after its end
	Log      *slog.Logger
	Registry prometheus.Registerer
	Patience *patience.Patience // with the store; nil: nobody else waits for it
	Share    Share              // nil: all sessions are looked after here
	Tracer   *tracing.Tracer    // makes the spans of polls; nil: there are none
	// HandOn has whoever looks after a session know what was seen of it here, or, where that is
	// nil, that it is to be watched, and since when. It does not wait. Nil where Share is.
	HandOn func(v *session.Variant, o *session.Observation, at time.Time)
}

// Errors that callers branch on.
var (
	ErrFull     = errors.New("watch: watch.max reached")
	ErrNotFound = fmt.Errorf("watch: no such session: %w", store.ErrNotFound)
	ErrClosed   = errors.New("watch: closed")
)

// Watcher polls sessions until they end, and makes an event of each change of state.
// It is safe for concurrent use. Create it with New.
//
// What there is to know about a watch is in one record, which comes before everything else:
// first the record is durable, then the watch exists; first the event of the end is durable,
// then the record says so. So a crash at any moment loses nothing: what was under way is done
// again, and events that are made again are the same.
type Watcher struct {
	cfg      Config
	options  Options
	store    *store.Store
	sessions records
	marks    *store.Bucket
	metrics  *metrics
	pending  pendingAnswers
	patience *patience.Patience

	ctx       context.Context // ends when the watcher is closed
	cancel    context.CancelCauseFunc
	running   sync.WaitGroup
	pace      *rate.Limiter // of polls; nil: there is no limit
	wake      chan struct{} // something became due earlier
	work      chan *entry
	first     *takeUp     // of all watches of before; nil in a fleet
	awaitLate func() bool // waits for late ends, and returns false if the watcher was closed meanwhile

	readingEnds sync.Mutex // held while final answers of which nobody was told are read

	closing sync.Once

	mu           sync.Mutex
	live         map[string]*entry // by the session's id; guarded by mu, as what it points to
	states       stateCounts       // of live; guarded by mu, as all below
	due          *due.Queue[*entry]
	untold       []*entry // have events to be made that nobody waits for
	sights       firstSights
	more         *sync.Cond           // of untold, or the end
	unstored     map[*entry]struct{}  // have records to be stored that nobody waits for
	passing      int                  // entries of live that had ended when they were first seen
	takeUps      map[*takeUp]struct{} // that are not over
	awaitingEnds map[*takeUp]struct{} // that wait for final answers to be read
	complete     map[int]struct{}     // slots that were taken up

	complaints, refusals rate.Sometimes // of very many
}

const (
	// workers bounds the polls under way. More would only wait for the upstream's
	// own bound.
	workers = 256
	// complaining is the time between two log messages that say the same.
	complaining = 10 * time.Second
	// opening bounds how long opening the store's parts may take.
	opening = 30 * time.Second
	// closing bounds how long it may take to store the rest.
	closing = time.Second
)

// New opens what is stored. Nothing is polled before Start. The caller must Close it.
func New(cfg Config, o Options) (*Watcher, error) {
	ctx, cancel := context.WithTimeout(context.Background(), opening)
	defer cancel()
	if o.Schedule == nil {
		o.Schedule = fixedSchedule(cfg)
	}
	if o.Waited == nil {
		o.Waited = func(*session.Variant) bool { return false }
	}
	w := &Watcher{
		cfg: cfg, options: o, store: o.Store, metrics: newMetrics(o.Registry), patience: cmp.Or(o.Patience, &patience.Patience{}),
		live: map[string]*entry{}, unstored: map[*entry]struct{}{}, takeUps: map[*takeUp]struct{}{}, awaitingEnds: map[*takeUp]struct{}{}, complete: map[int]struct{}{}, wake: make(chan struct{}, 1), work: make(chan *entry),
		complaints: rate.Sometimes{Interval: complaining}, refusals: rate.Sometimes{Interval: complaining},
	}
	if w.due = due.New[*entry](nil); o.Schedule.adaptive() {
		w.due, w.pace = due.New(w.worth), newPace(o)
	}
	w.awaitLate = func() bool { return w.pause(lateEnds) }
	w.more, w.sights.behind = sync.NewCond(&w.mu), map[*entry]uint64{}
	var err error
	w.sessions.share = o.Share
	if w.sessions.Bucket, err = o.Store.Bucket(ctx, store.BucketConfig{Name: "sessions"}); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	if w.marks, err = o.Store.Bucket(ctx, store.BucketConfig{Name: "marks"}); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	if o.Share == nil {
		w.first = w.newTakeUp(nil)
	}
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	return w, nil
}

// Start takes all watches up again, those of a crash too, and begins to poll. Where there are
// so many that it takes longer than a moment, the rest are taken up while it has returned, and
// polling begins after that. In a fleet Begin takes them up. Start may be called once.
func (w *Watcher) Start() error {
	if w.first != nil {
		w.running.Go(func() { w.takeUp(w.first) })
		select {
		case <-w.first.done:
		case <-time.After(mostOfStart):
		}
	}
	w.running.Go(w.dispatch)
	for range workers {
		w.running.Go(w.workUntilClosed)
	}
	for range tellers {
		w.running.Go(w.tellUntilClosed)
	}
	w.running.Go(w.writeUntilClosed)
	return nil
}

// TakenUp returns a channel that is closed when all watches of before the start were taken up.
func (w *Watcher) TakenUp() <-chan struct{} {
	if w.first == nil {
		return closed
	}
	return w.first.done
}

// closed is a channel that is.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Close stops polling; the watches are taken up again after the next start. Registering fails
// after it; observations are still made durable. It may be called more than once.
func (w *Watcher) Close() {
	w.closing.Do(func() {
		w.cancel(ErrClosed)
		w.mu.Lock()
		w.more.Broadcast()
		w.mu.Unlock()
		w.running.Wait()
		w.settleRest()
	})
}

// settleRest tries once more to make durable what is not, the events first.
func (w *Watcher) settleRest() {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	w.mu.Lock()
	rest := w.untold
	w.untold = nil
	w.mu.Unlock()
	for _, e := range rest {
		if err := w.settle(ctx, e, told); err != nil && !w.isSafe(e) {
			w.options.Log.Error("change of a watched session is lost", "session", e.id, "error", err)
		}
	}
	w.noteTold(ctx)
	w.writeRecords(ctx) // if that fails, the next start finds out
}

func (w *Watcher) isSafe(e *entry) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return e.safe() || e.revision > 0 // then it is asked for again
}

// Live returns how many sessions are watched.
func (w *Watcher) Live() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.live)
}

// States counts the sessions that are watched by what [Session.Status] says of them.
func (w *Watcher) States() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states.byStatus()
}

// Polls reports whether v's session is watched by asking just that: whoever waits for news of
// it need not ask.
func (w *Watcher) Polls(v *session.Variant) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[session.ID(w.store, v)]
	return known && e.polls(v)
}

// Wants reports whether anybody wants to know about v's session. It asks memory only.
func (w *Watcher) Wants(v *session.Variant) bool { return w.options.Events.Wanted(w.Subject(v)) }

// Subject is what events about v's session are about.
func (w *Watcher) Subject(v *session.Variant) event.Subject {
	return w.subject(session.ID(w.store, v), v)
}

func (w *Watcher) subject(id string, v *session.Variant) event.Subject {
	return event.Subject{Session: id, Endpoint: v.Endpoint.Name, Account: w.store.ID("acc_", v.Credential)}
}
