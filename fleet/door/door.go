package door

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"pollbridge/cache"
	"pollbridge/fleet"
	"pollbridge/session"
	"pollbridge/upstream"
)

// Fleet says who looks after a session, and asks that one. [fleet.Fleet] does.
type Fleet interface {
	Holds(sessionID string) bool
	Owns(sessionID string) bool
	Ready(ctx context.Context, sessionID string) error
	// Since is when this replica began to look after a session, if it does.
	Since(sessionID string) (at time.Time, held bool)
	Ask(ctx context.Context, sessionID, kind string, question []byte) ([]byte, error)
	Answer(kind string, h fleet.Handler)
	Hear(kind string, h func(ctx context.Context, message []byte))
	TellEverybody(ctx context.Context, kind string, message []byte) error
}

// Statuses is the cache of this replica.
type Statuses interface {
	GetFor(ctx context.Context, v *session.Variant, origin string) (cache.Result, error)
	CORS(v *session.Variant, origin string) ([]session.Field, bool)
	Erase(v *session.Variant)
	Learn(v *session.Variant, o *session.Observation)
}

// Options is what a Door needs. All of it is needed.
type Options struct {
	Fleet    Fleet
	Upstream cache.Poller
	Holder   Holder       // that is the upstream's client, too
	Finals   cache.Finals // of all replicas
	Table    *session.Table
	// Recent is for how long after it has begun to look after a session a replica's memory may be
	// older than what is kept: as long as pending answers are of use.
	Recent time.Duration
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
	seen     seen
	news     chan struct{} // holds a token when something was seen
	heldBack chan []byte   // what others have to know of

	ctx     context.Context // ends with the door
	stop    context.CancelFunc
	telling sync.WaitGroup
}

const pollKind = "poll"

// askTime bounds how long another replica is waited for: longer than any poll takes.
const askTime = 30 * time.Second

// New returns a door. Open has to be called before the fleet starts, and the caller must Close
// it.
func New(o Options) *Door {
	d := &Door{o: o, news: make(chan struct{}, 1), heldBack: make(chan []byte, mostHeld)}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// Open has the replica answer others out of its cache.
func (d *Door) Open(s Statuses) {
	d.statuses = s
	d.o.Fleet.Answer(pollKind, d.answer)
	d.o.Fleet.Answer(seenKind, d.heardOf)
	d.o.Fleet.Hear(eraseKind, d.eraseHere)
	d.o.Fleet.Hear(heldKind, d.hold)
	d.telling.Go(d.tellHeld)
	d.telling.Go(d.tellUntilClosed)
}

// Close ends telling others what was seen here.
func (d *Door) Close() {
	d.stop()
	d.telling.Wait()
}

// Poll implements cache.Poller. What another replica has made is marked so.
func (d *Door) Poll(ctx context.Context, v *session.Variant, o session.PollOptions) (*session.Observation, error) {
	id := d.o.ID(v)
	const often = 3 // a session may change hands while it is waited for
	for range often {
		if !d.o.Fleet.Holds(id) {
			message, err := d.ask(ctx, id, v, o)
			if err == nil {
				return d.told(v, o, message)
			}
			if !errors.Is(err, fleet.ErrHere) {
				d.o.Log.Debug("asking the upstream without the others", "session", id, "error", err)
				break
			}
		}
		if err := d.o.Fleet.Ready(ctx, id); err != nil {
			return nil, err
		}
		if d.o.Fleet.Holds(id) {
			break
		}
	}
	// Whoever looked after the session before may have got the final answer, the only one.
	if since, held := d.o.Fleet.Since(id); !held || time.Since(since) < d.o.Recent {
		if kept := d.kept(ctx, v); kept != nil {
			return kept, nil
		}
	}
	return d.o.Upstream.Poll(ctx, v, o)
}

func (d *Door) ask(ctx context.Context, id string, v *session.Variant, o session.PollOptions) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return d.o.Fleet.Ask(ctx, id, pollKind, appendQuestion(v, o))
}

// keptTime bounds how long the store is asked: cut off from it, a replica still answers.
const keptTime = 2 * time.Second

// kept is the final answer that another replica has kept, or nil.
func (d *Door) kept(ctx context.Context, v *session.Variant) *session.Observation {
	ctx, cancel := context.WithTimeout(ctx, keptTime)
	defer cancel()
	found, err := d.o.Finals.Load(ctx, v)
	if err != nil {
		d.o.Log.Debug("final answers could not be looked for", "session", d.o.ID(v), "error", err)
	}
	if len(found) == 0 {
		return nil
	}
	kept := found[0]
	for _, o := range found {
		if o.Serves(v.Locale) {
			kept = o
		}
	}
	kept.Elsewhere = true
	return kept
}

// told is what another replica says.
func (d *Door) told(v *session.Variant, options session.PollOptions, message []byte) (*session.Observation, error) {
	a, o, err := readAnswer(v, message, time.Now())
	if err != nil {
		return nil, err
	}
	if a.Learned && options.CORS != nil {
		options.CORS(a.CORS)
	}
	if a.Failure != nil {
		return o, a.Failure.Failure()
	}
	if o == nil {
		return nil, errWire
	}
	return o, nil
}

// answer tells another replica what is known here, or is found out.
func (d *Door) answer(ctx context.Context, message []byte) []byte {
	v, q, err := readQuestion(d.o.Table, message)
	if err != nil {
		return appendJSON(nil, answer{Failure: upstream.Tell(err)})
	}
	result, err := d.statuses.GetFor(ctx, v, q.Origin)
	var cors []session.Field
	learned := false
	if q.Origin != "" {
		cors, learned = d.statuses.CORS(v, q.Origin)
	}
	return appendAnswer(v, result, err, cors, learned)
}

// errNotKept says that a final answer is not stored yet: others are told of it when it is.
var errNotKept = errors.New("door: the final answer is not stored yet")

// tell tells the replica that looks after a session of what was seen here. A final answer is told
// by what is stored: it may be large.
func (d *Door) tell(ctx context.Context, each sighting) error {
	if each.o == nil {
		return d.watches.started(ctx, each.v)
	}
	if each.o.State.Final() {
		if found, err := d.o.Finals.Load(ctx, each.v); err != nil || len(found) == 0 {
			return cmp.Or(err, errNotKept)
		}
	}
	message, err := d.o.Fleet.Ask(ctx, d.o.ID(each.v), seenKind, appendSighting(each.v, each.o))
	if errors.Is(err, fleet.ErrHere) { // by now
		return d.learn(ctx, each.v, each.o)
	}
	if err == nil && len(message) == 0 {
		err = errWire
	}
	return err
}

// heardOf is told by another replica what that has seen.
func (d *Door) heardOf(ctx context.Context, message []byte) []byte {
	v, o, err := readSighting(d.o.Table, message, time.Now())
	if err == nil {
		err = d.learn(ctx, v, o)
	}
	if err != nil {
		d.o.Log.Error("what another replica has seen cannot be used", "error", err)
		return nil
	}
	return []byte{1}
}

// learn takes what was seen elsewhere as if it was seen here.
func (d *Door) learn(ctx context.Context, v *session.Variant, o *session.Observation) error {
	if o.State.Final() {
		if o = d.kept(ctx, v); o == nil {
			return errNotKept
		}
	}
	d.statuses.Learn(v, o)
	return nil
}

const eraseKind = "erase"

// Erase has all replicas forget what they know about v's question, see cache.Statuses.Erase. The
// error names those that have not heard it.
func (d *Door) Erase(ctx context.Context, v *session.Variant) error {
	d.forget(v)
	return d.o.Fleet.TellEverybody(ctx, eraseKind, v.AppendDurable(nil))
}

func (d *Door) eraseHere(_ context.Context, message []byte) {
	v, err := d.o.Table.ReadDurable(message)
	if err != nil {
		d.o.Log.Error("what another replica wants to be erased cannot be read", "error", err)
		return
	}
	d.forget(v)
}

func (d *Door) forget(v *session.Variant) {
	d.seen.forget(session.SessionKey(v.Key()))
	d.statuses.Erase(v)
}
