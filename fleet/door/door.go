package door

import (
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
	d.o.Fleet.Answer(seenKind, d.learn)
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
	if !d.o.Fleet.Holds(id) {
		asking, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		message, err := d.o.Fleet.Ask(asking, id, pollKind, appendQuestion(v, o))
		if err == nil {
			return d.told(v, o, message)
		}
		if !errors.Is(err, fleet.ErrHere) {
			d.o.Log.Debug("asking the upstream without the others", "session", id, "error", err)
			return d.o.Upstream.Poll(ctx, v, o)
		}
	}
	if err := d.o.Fleet.Ready(ctx, id); err != nil {
		return nil, err
	}
	return d.o.Upstream.Poll(ctx, v, o)
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

// tell tells the replica that looks after a session of an observation that was made here.
func (d *Door) tell(ctx context.Context, each sighting) error {
	if each.o == nil {
		return d.watches.started(ctx, each.v)
	}
	message, err := d.o.Fleet.Ask(ctx, d.o.ID(each.v), seenKind, appendSighting(each.v, each.o))
	switch {
	case errors.Is(err, fleet.ErrHere): // by now
		d.statuses.Learn(each.v, each.o)
		return nil
	case err == nil && len(message) == 0:
		return errWire
	}
	return err
}

// learn is told by another replica what that has observed.
func (d *Door) learn(_ context.Context, message []byte) []byte {
	v, o, err := readSighting(d.o.Table, message, time.Now())
	if err != nil {
		d.o.Log.Error("what another replica has observed cannot be read", "error", err)
		return nil
	}
	d.statuses.Learn(v, o)
	return []byte{1}
}

const eraseKind = "erase"

// Erase has all replicas forget what they know about v's question, see cache.Statuses.Erase. The
// error names those that have not heard it.
func (d *Door) Erase(ctx context.Context, v *session.Variant) error {
	d.statuses.Erase(v)
	return d.o.Fleet.TellEverybody(ctx, eraseKind, v.AppendDurable(nil))
}

func (d *Door) eraseHere(_ context.Context, message []byte) {
	v, err := d.o.Table.ReadDurable(message)
	if err != nil {
		d.o.Log.Error("what another replica wants to be erased cannot be read", "error", err)
		return
	}
	d.statuses.Erase(v)
}
