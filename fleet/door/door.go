package door

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"pollbridge/cache"
	"pollbridge/fleet"
	"pollbridge/internal/patience"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/upstream"
)

// Fleet says who looks after a session, and asks that one. [fleet.Fleet] does.
type Fleet interface {
	Holds(sessionID string) bool
	Owns(sessionID string) bool
	// While calls note if this replica looks after a session: before it lets anybody else do so. note must not
	// block, nor call the Fleet.
	While(sessionID string, note func()) bool
	Ready(ctx context.Context, sessionID string) error
	// Since is from when on nobody else asks about a session that this replica looks after, if it does.
	Since(sessionID string) (at time.Time, held bool)
	Ask(ctx context.Context, sessionID, kind string, question []byte) ([]byte, error)
	Answer(kind string, h fleet.Handler)
	AskBefore(ctx context.Context, sessionID, kind string, question []byte) ([]byte, error)
	Hear(kind string, h fleet.Handler)
	Announce(ctx context.Context, kind, key string, message []byte, lasts time.Duration) error
	Withdraw(ctx context.Context, kind, key string) error
	Announced(kind string, h func(fleet.Announcement))
	// Current reports whether this replica is in touch with the others, see fleet.Fleet.
	Current() bool
	TellEverybody(ctx context.Context, kind string, message []byte) error
	AskEverybody(ctx context.Context, kind string, question []byte) ([]byte, error)
}

// Statuses is the cache of this replica.
type Statuses interface {
	GetFor(ctx context.Context, v *session.Variant, origin string) (cache.Result, error)
	UnderWay(ctx context.Context, v *session.Variant, origin string) (result cache.Result, found bool, err error)
	// Known is what is known without asking anybody, see cache.Statuses.
	Known(v *session.Variant) (result cache.Result, found bool)
	CORS(v *session.Variant, origin string) ([]session.Field, bool)
	Erase(v *session.Variant)
	EraseThose(erased func(key string) bool)
	Learn(v *session.Variant, o *session.Observation)
}

// Held knows of requests that are held until there is news; see watch.LongPolls.
type Held interface {
	// Holds reports whether one is held here for v.
	Holds(v *session.Variant) bool
	// HeldElsewhere is told that another replica holds one for v's session, which this one looks after.
	HeldElsewhere(v *session.Variant)
	// Fresh is for how long a pending observation serves from when it was made, before v is asked
	// again; 0: as long as the cache says.
	Fresh(v *session.Variant, o *session.Observation) time.Duration
}

// Subscriptions knows which sessions somebody wants to know of.
type Subscriptions interface {
	// Wants asks memory only.
	Wants(v *session.Variant) bool
	// Current waits until memory knows of each change that was made before, by whatever replica.
	Current(ctx context.Context) error
}

// Options is what a Door needs. All of it is needed.
type Options struct {
	Fleet    Fleet
	Upstream cache.Poller
	Holder   Holder       // that is the upstream's client, too
	Finals   cache.Finals // of all replicas
	Unkept   Unkept       // of this one
	Table    *session.Table
	// Held knows of requests that are held, here and at other replicas.
	Held          Held
	Subscriptions Subscriptions
	// Recent is for how long after it has begun to look after a session a replica's memory may be
	// older than what is kept: as long as pending answers are of use.
	Recent time.Duration
	// Remembered is for how long a replica's memory may hold something of a session after it has
	// last seen it.
	Remembered time.Duration
	// LongestPoll is how long a poll of the upstream takes at most: another replica is waited for as long.
	LongestPoll time.Duration
	// ID is the id of a variant's session.
	ID  func(*session.Variant) string
	Log *slog.Logger
}

// Door is the way to the upstream, for the cache of a replica. It is safe for concurrent use.
// Create it with New.
type Door struct {
	o        Options
	statuses Statuses
	watches  *Watches
	seen     byVariant[sighting]
	patience patience.Patience // with who looks after a session
	news     chan struct{}     // holds a token when something was seen
	loads    *semaphore.Weighted
	erasures erasures
	missed   chan struct{} // holds a token when an erasure was missed
	heldBack chan heldBack // what others have to know of
	unheard  byVariant[unheard]
	late     chan struct{} // holds a token when something is unheard

	ctx      context.Context // ends with the door
	stop     context.CancelFunc
	draining atomic.Bool
	telling  sync.WaitGroup
}

const (
	pollKind     = "poll"
	underWayKind = "underway"
)

// New returns a door. Open has to be called before the fleet starts, and the caller must Close
// it.
func New(o Options) *Door {
	d := &Door{o: o, news: make(chan struct{}, 1), missed: make(chan struct{}, 1), late: make(chan struct{}, 1), loads: semaphore.NewWeighted(mostLoads), heldBack: make(chan heldBack, mostHeld)}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// Open has the replica answer others out of its cache.
func (d *Door) Open(s Statuses) {
	d.statuses = s
	d.o.Fleet.Answer(pollKind, d.answer)
	d.o.Fleet.Answer(seenKind, d.heardOf)
	d.o.Fleet.Hear(underWayKind, d.underWay)
	d.o.Fleet.Hear(unkeptKind, d.unkept)
	d.o.Fleet.Hear(eraseKind, d.eraseHere)
	d.o.Fleet.Hear(erasureKind, d.erasureHere)
	d.o.Fleet.Announced(heldKind, d.hold)
	d.o.Fleet.Announced(erasedKind, d.erasedElsewhere)
	d.telling.Go(d.announceHeld)
	d.telling.Go(d.tellUntilClosed)
	d.telling.Go(d.forgetMissed)
	d.telling.Go(d.hearUntilClosed)
}

// Drain has this replica not ask the upstream in the place of another one any more, even where that cannot be
// reached: its own clients have been answered, and others look after the sessions. It does not block, and is
// called before the sessions are handed over.
func (d *Door) Drain() { d.draining.Store(true) }

// Close ends telling others what was seen here.
func (d *Door) Close() {
	d.stop()
	d.telling.Wait()
}

// Poll implements cache.Poller. What another replica has made is marked so.
func (d *Door) Poll(ctx context.Context, v *session.Variant, o session.PollOptions) (*session.Observation, error) {
	id := d.o.ID(v)
	asking := func() {
		if o.Asking != nil {
			o.Asking()
		}
	}
	const often = 10 // a session may change hands while it is waited for
	for range often {
		alone := false
		if !d.o.Fleet.Holds(id) {
			observed, found, err := d.ask(ctx, v, o, func(ctx context.Context, question []byte) ([]byte, error) {
				return d.o.Fleet.Ask(ctx, id, pollKind, question)
			})
			if _, failed := errors.AsType[*askError](err); !failed {
				if !found {
					return nil, errWire
				}
				o.Span.Outcome(upstream.Outcome(observed, err), err != nil)
				return observed, err
			}
			if alone = !errors.Is(err, fleet.ErrHere); alone {
				if d.draining.Load() {
					return nil, &busyError{errDraining}
				}
				d.o.Log.Debug("asking the upstream without the others", "session", id, "error", err)
			}
		}
		if !alone {
			if found, observed, err := d.before(ctx, id, v, o); found {
				o.Span.Outcome(upstream.Outcome(observed, err), err != nil)
				return observed, err
			}
		}
		// Whoever looked after the session before may have got the final answer, the only one; not if
		// it was pending after that.
		if since, held := d.o.Fleet.Since(id); !held || time.Since(since) < d.o.Recent && !o.Pending.After(since) {
			if kept := d.kept(ctx, v); kept != nil {
				if !held { // whoever has stored it may have told nobody
					d.Seen(v, kept, kept.At)
				}
				return kept, nil
			}
		}
		if alone {
			asking()
			return d.askUpstream(ctx, v, o)
		}
		if d.o.Fleet.While(id, asking) {
			return d.askUpstream(ctx, v, o)
		}
	}
	return nil, &busyError{errMoving}
}

// askUpstream is a poll of this replica's own.
func (d *Door) askUpstream(ctx context.Context, v *session.Variant, o session.PollOptions) (*session.Observation, error) {
	var hearing sync.WaitGroup
	defer hearing.Wait()
	if o.Pending.IsZero() && !d.o.Subscriptions.Wants(v) { // it may be asked about for the first time, and for the last
		hearing.Go(func() { d.hear(ctx, v) })
	}
	return d.o.Upstream.Poll(ctx, v, o)
}

// Why the upstream was not asked.
var (
	errDraining = errors.New("door: this replica drains")
	errMoving   = errors.New("door: the session changes hands again and again")
)

// before waits until whoever looked after the session before does not ask the upstream any more.
// That one is asked for what is known there, or is about to be: else there would be two polls at a
// time, and an answer that is given only once would be missed.
func (d *Door) before(ctx context.Context, id string, v *session.Variant, o session.PollOptions) (found bool, observed *session.Observation, err error) {
	ask := func() (failed bool) {
		observed, found, err = d.ask(ctx, v, o, func(ctx context.Context, question []byte) ([]byte, error) {
			return d.o.Fleet.AskBefore(ctx, id, underWayKind, question)
		})
		_, failed = errors.AsType[*askError](err)
		return failed
	}
	from, _ := d.o.Fleet.Since(id)
	early := time.Now().Before(from)
	failed := ask()
	if found {
		return true, observed, err
	}
	if err := d.o.Fleet.Ready(ctx, id); err != nil {
		return true, nil, err
	}
	if failed || early { // it may have been on its way to another server, or about to ask
		ask()
	}
	return found, observed, err
}

// askError is why another replica does not answer.
type askError struct{ error }

func (e *askError) Unwrap() error { return e.error }

// ask asks another replica about v. found is false where that has nothing to say. The error is what
// that replica says of the upstream, or an askError.
func (d *Door) ask(ctx context.Context, v *session.Variant, o session.PollOptions, ask func(context.Context, []byte) ([]byte, error)) (observed *session.Observation, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.o.LongestPoll)
	defer cancel()
	for whole := false; ; whole = true { // what should be stored may be not, or not any more
		message, err := ask(ctx, appendQuestion(v, question{Origin: o.Origin, Whole: whole, Held: d.o.Held.Holds(v), Wanted: d.o.Subscriptions.Wants(v), Span: o.Span.Context()}))
		if err != nil {
			return nil, false, &askError{err}
		}
		if len(message) == 0 {
			return nil, false, nil
		}
		if observed, err = d.told(ctx, v, o, message); err != nil || observed != nil {
			return observed, true, err
		}
	}
}

// underWay tells the replica that looks after a session from now on what it wants to know.
func (d *Door) underWay(ctx context.Context, message []byte) []byte {
	v, q, err := readQuestion(d.o.Table, message)
	if err != nil {
		return nil
	}
	result, found, err := d.statuses.UnderWay(ctx, v, q.Origin)
	if !found {
		return nil
	}
	return appendAnswer(answer{}, v, q, result, err)
}

// keptTime bounds how long the store is asked: cut off from it, a replica still answers.
const keptTime = 2 * time.Second

// kept is the final answer that another replica has kept, or nil.
func (d *Door) kept(ctx context.Context, v *session.Variant) *session.Observation {
	ctx, cancel := context.WithTimeout(ctx, keptTime)
	defer cancel()
	kept, err := d.load(ctx, v)
	if err != nil {
		d.o.Log.Debug("final answers could not be looked for", "session", d.o.ID(v), "error", err)
	}
	return kept
}

// load returns a final answer that was kept, in v's locale if there is one; nil if there is none.
func (d *Door) load(ctx context.Context, v *session.Variant) (*session.Observation, error) {
	found, err := d.o.Finals.Load(ctx, v)
	if len(found) == 0 {
		return nil, err
	}
	kept := found[0]
	for _, o := range found {
		if o.Serves(v.Locale) {
			kept = o
		}
	}
	kept.Elsewhere = true
	return kept, nil
}

// told is what another replica says; nil if it says that an answer is stored, which is not found.
func (d *Door) told(ctx context.Context, v *session.Variant, options session.PollOptions, message []byte) (*session.Observation, error) {
	a, o, err := readAnswer(v, message, time.Now())
	if err != nil {
		return nil, err
	}
	if a.Learned && options.CORS != nil {
		options.CORS(a.CORS)
	}
	switch {
	case a.Failure != nil:
		return o, a.Failure.Failure()
	case o == nil:
		return nil, errWire
	case a.Stored:
		return d.stored(ctx, v)
	}
	if a.Fresh > 0 && options.Fresh != nil {
		options.Fresh(a.Fresh)
	}
	return o, nil
}

// mostLoads is how many large answers are loaded at a time, of those that others tell of.
const mostLoads = 4

// stored is a large final answer of which another replica tells, or nil.
func (d *Door) stored(ctx context.Context, v *session.Variant) (*session.Observation, error) {
	if err := d.loads.Acquire(ctx, 1); err != nil {
		return nil, &busyError{context.Cause(ctx)}
	}
	defer d.loads.Release(1)
	o, err := d.load(ctx, v)
	if err != nil {
		return nil, &busyError{err}
	}
	return o, nil
}

// busyError is why nothing was found out yet: the upstream was not asked, and may be in a moment.
type busyError struct{ error }

func (e *busyError) Unwrap() error { return e.error }
func (*busyError) NotSent() bool   { return true }
func (*busyError) Soon() bool      { return true }

// answer tells another replica what is known here, or is found out.
func (d *Door) answer(ctx context.Context, message []byte) []byte {
	v, q, err := readQuestion(d.o.Table, message)
	if err != nil {
		return appendJSON(nil, answer{Failure: upstream.Tell(err)})
	}
	if q.Held {
		d.o.Held.HeldElsewhere(v)
	}
	if q.Wanted {
		d.hear(ctx, v)
	}
	result, err := d.statuses.GetFor(tracing.PartOf(ctx, q.Span), v, q.Origin)
	if o := result.Observation; o != nil && o.State == session.Pending {
		if fresh := d.o.Held.Fresh(v, o); fresh > 0 { // it may be asked again sooner than was said when it was made
			result.TTL = min(result.TTL, fresh-o.Age(time.Now()))
		}
	}
	var a answer
	if q.Origin != "" {
		a.CORS, a.Learned = d.statuses.CORS(v, q.Origin)
	}
	return appendAnswer(a, v, q, result, err)
}

// errNotKept says that a final answer is not stored yet: others are told of it when it is.
var errNotKept = errors.New("door: the final answer is not stored yet")

// tell tells the replica that looks after a session of what was seen here. A final answer is told
// by what is stored: it may be large.
func (d *Door) tell(ctx context.Context, each sighting) error {
	if d.over(each) {
		return nil
	}
	if each.o != nil && each.o.State.Final() {
		if found, err := d.o.Finals.Load(ctx, each.v); err != nil || len(found) == 0 {
			return cmp.Or(err, errNotKept)
		}
	}
	each.wanted = each.wanted || d.o.Subscriptions.Wants(each.v)
	message, err := d.o.Fleet.Ask(ctx, d.o.ID(each.v), seenKind, appendSighting(each))
	if errors.Is(err, fleet.ErrHere) { // by now
		return d.learn(ctx, each)
	}
	if err == nil && len(message) == 0 {
		err = errWire
	}
	return err
}

// heardOf is told by another replica what that has seen.
func (d *Door) heardOf(ctx context.Context, message []byte) []byte {
	seen, err := readSighting(d.o.Table, message, time.Now())
	if err != nil {
		d.o.Log.Error("what another replica has seen cannot be used", "error", err)
		return nil
	}
	if err = d.learn(ctx, seen); err != nil { // that one tells again
		d.o.Log.Debug("what another replica has seen cannot be used yet", "session", d.o.ID(seen.v), "error", err)
		return nil
	}
	return []byte{1}
}

// over reports whether nobody has to know any more of what was seen: the session was erased since, or may
// have been.
func (d *Door) over(seen sighting) bool {
	return d.erasures.after(d.o.ID(seen.v), seen.at) || time.Since(seen.at) > d.o.Remembered
}

// learn takes what was seen elsewhere as if it was seen here. The error is why that has to be done again.
func (d *Door) learn(ctx context.Context, seen sighting) error {
	if d.over(seen) {
		return nil
	}
	var notHeard error
	if seen.wanted && d.heard(ctx, seen.v) != nil {
		notHeard = errUnheard
	}
	id := d.o.ID(seen.v)
	switch {
	case seen.o == nil:
		return cmp.Or(d.watches.moved(id, d.watches.Watcher.Started(ctx, seen.v)), notHeard)
	case seen.o.State.Final():
		if seen.o = d.kept(ctx, seen.v); seen.o == nil {
			return errNotKept
		}
	}
	if d.over(seen) { // by now
		return nil
	}
	d.statuses.Learn(seen.v, seen.o)
	if !d.o.Fleet.Holds(id) {
		return errMoved
	}
	return notHeard
}
