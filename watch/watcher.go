package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"

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

// Finals keeps final answers; see store.Finals.
type Finals interface {
	Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error)
	Forget(ctx context.Context, sessionID string) error
}

// Ask brings the observation of a session up to date: the one door to the upstream,
// through the cache. It fails where there is none, or only one that is out of date.
type Ask func(ctx context.Context, v *session.Variant) (*session.Observation, error)

// Options is what a Watcher needs besides its configuration. All of it is needed.
type Options struct {
	Store  *store.Store
	Table  *session.Table
	Events Events
	Finals Finals
	Ask    Ask
	// Erase makes memory forget what it knows about a question.
	Erase func(*session.Variant)
	// Restore is told of the last pending answer to each watch that is taken up, where that
	// was stored; At is when the upstream gave it. Start tells it of the ten thousand whose
	// records changed last, each of the others is told of before it is polled for the first
	// time.
	Restore  func(*session.Variant, *session.Observation)
	Retain   time.Duration // how long a session is kept after its end
	Log      *slog.Logger
	Registry prometheus.Registerer
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
// A watch is an item of a queue that stays taken until the session has ended: first the
// item is durable, then the watch exists; first the event of the end is durable, then
// the record that says so, and then the item is done. So a crash at any moment loses
// nothing: what was under way is done again, and events that are made again are the
// same.
type Watcher struct {
	cfg      Config
	options  Options
	store    *store.Store
	sessions *store.Table
	watches  *store.Queue
	metrics  *metrics
	pending  pendingAnswers
	// Start restores no more pending answers than mostRestored, and did so of records of
	// the revision restored and newer ones.
	mostRestored int
	restored     uint64

	ctx      context.Context // ends when the watcher is closed
	cancel   context.CancelCauseFunc
	consumer *store.Consumer
	running  sync.WaitGroup
	wake     chan struct{} // something became due earlier
	work     chan *entry

	closing sync.Once

	mu        sync.Mutex
	live      map[string]*entry    // by the session's id; guarded by mu, as what it points to
	withdrawn map[string]time.Time // when items were removed that were not handed out, by name; guarded by mu
	due       dueTimes             // guarded by mu

	complaints, refusals rate.Sometimes // of very many
}

const (
	itemSubject = "watch"
	// renewal is how long another replica waits before it takes over the watches of
	// one that died.
	renewal = 30 * time.Second
	// workers bounds the polls under way. More would only wait for the upstream's
	// own bound.
	workers = 256
	// complaining is the time between two log messages that say the same.
	complaining = 10 * time.Second
	// opening bounds how long opening the store's parts may take.
	opening = 30 * time.Second
)

// New opens what is stored. Nothing is polled before Start. The caller must Close it.
func New(cfg Config, o Options) (*Watcher, error) {
	ctx, cancel := context.WithTimeout(context.Background(), opening)
	defer cancel()
	w := &Watcher{
		cfg: cfg, options: o, store: o.Store, metrics: newMetrics(o.Registry),
		live: map[string]*entry{}, withdrawn: map[string]time.Time{}, wake: make(chan struct{}, 1), work: make(chan *entry), mostRestored: mostRestored,
		complaints: rate.Sometimes{Interval: complaining}, refusals: rate.Sometimes{Interval: complaining},
	}
	var err error
	if w.sessions, err = o.Store.Table(ctx, store.TableConfig{Name: "sessions"}); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	if w.watches, err = o.Store.Queue(ctx, store.QueueConfig{Name: "watches", AckWait: renewal}); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	return w, nil
}

// Start takes all watches up again, those of a crash too, and begins to poll. It may
// be called once.
func (w *Watcher) Start() error {
	consumer, err := w.watches.Consume(w.ctx, itemSubject, w.cfg.Max, w.take)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	w.consumer = consumer
	w.restoreNewest() // while items come, and before any is polled
	w.running.Go(w.dispatch)
	for range workers {
		w.running.Go(w.workUntilClosed)
	}
	w.running.Go(w.renewUntilClosed)
	return nil
}

// TakenUp returns a channel that is closed when all watches of before were taken up.
// It must be called after Start.
func (w *Watcher) TakenUp() <-chan struct{} { return w.consumer.CaughtUp() }

// Close stops polling and gives the watches back, to be taken up after the next start.
// Registering fails after it; observations are still made durable. It may be called
// more than once.
func (w *Watcher) Close() {
	w.closing.Do(func() {
		w.cancel(ErrClosed)
		if w.consumer != nil {
			w.consumer.Stop()
		}
		w.running.Wait()
		w.settleRest()
		w.giveBack()
	})
}

// releaseTime bounds giving back. What is not given back is handed out again all the
// same, a little later.
const releaseTime = time.Second

// settleRest tries once more to make durable what no item would bring back.
func (w *Watcher) settleRest() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	w.mu.Lock()
	var rest []*entry
	for _, e := range w.live {
		if !e.queued {
			rest = append(rest, e)
		}
	}
	w.mu.Unlock()
	for _, e := range rest {
		if err := w.settle(ctx, e); err != nil {
			w.options.Log.Error("change of a watched session is lost", "session", e.id, "error", err)
		}
	}
}

func (w *Watcher) giveBack() {
	end := time.Now().Add(releaseTime)
	for _, item := range w.items() {
		if time.Now().After(end) {
			return
		}
		if err := item.Nak(); err != nil {
			w.options.Log.Debug("watch could not be released", "session", item.Name, "error", err)
		}
	}
}

// items are all that were handed out and are not done.
func (w *Watcher) items() []*store.Item {
	w.mu.Lock()
	defer w.mu.Unlock()
	items := make([]*store.Item, 0, len(w.live))
	for _, e := range w.live {
		if e.item != nil && !e.finishing {
			items = append(items, e.item)
		}
	}
	return items
}

func (w *Watcher) renewUntilClosed() {
	ticker := time.NewTicker(renewal / 3)
	defer ticker.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-ticker.C:
		}
		failed := 0
		var last error
		for _, item := range w.items() {
			if w.ctx.Err() != nil {
				return
			}
			if err := item.InProgress(); err != nil {
				failed++
				last = err
			}
		}
		if failed > 0 {
			w.options.Log.Warn("watches could not be renewed", "count", failed, "error", last)
		}
	}
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
	counts := map[string]int{}
	for _, e := range w.live {
		if e.variant != nil {
			counts[Session{State: e.state, End: e.end}.Status()]++
		}
	}
	return counts
}

// Subject is what events about v's session are about.
func (w *Watcher) Subject(v *session.Variant) event.Subject {
	return w.subject(w.store.SessionID(v), v)
}

func (w *Watcher) subject(id string, v *session.Variant) event.Subject {
	return event.Subject{Session: id, Endpoint: v.Endpoint.Name, Account: w.store.ID("acc_", v.Credential)}
}
