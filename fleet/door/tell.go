package door

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"pollbridge/internal/period"
	"pollbridge/session"
)

const (
	seenKind  = "seen"
	tellAgain = time.Second
	// tellRestAgain is tellAgain where a replica is about to go.
	tellRestAgain = 100 * time.Millisecond
	tellTime      = 10 * time.Second
	// tellAtOnce is how many are told of at a time: one whose replica does not answer holds up
	// few others.
	tellAtOnce = 32
)

// sighting is what was observed here of a session and not told yet to the replica that looks after it, which
// may be this one.
type sighting struct {
	v *session.Variant
	o *session.Observation // nil: a call has started the session
	// wanted is whether somebody wants to know of the session, or may.
	wanted bool
	// at is when that was. What was seen before the session was erased is nobody's business.
	at time.Time
}

func (s sighting) of() *session.Variant { return s.v }

// after is what is to be told of a session of which something is to be told already.
func (s sighting) after(known sighting) sighting {
	wanted := s.wanted || known.wanted
	if s.o == nil || known.o != nil && known.o.State.Final() { // the first final answer decides
		s = known
	}
	s.wanted = wanted
	return s
}

// Seen is told what was observed here, and when, of a session that another replica looks after; nil
// says that a call has started it. That one is told as soon as it can be. Seen does not wait.
func (d *Door) Seen(v *session.Variant, o *session.Observation, at time.Time) {
	d.see(sighting{v: v, o: o, at: at})
}

func (d *Door) see(s sighting) {
	s.o = asTold(s.o)
	if !d.seen.put(s.v, func(known sighting, is bool) sighting {
		if is {
			return s.after(known)
		}
		return s
	}) {
		d.o.Log.Error("too much waits for the replicas that look after sessions: what was seen of one is lost", "session", d.o.ID(s.v))
	}
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// asTold is what is told of an observation. Of a final one what is stored counts.
func asTold(o *session.Observation) *session.Observation {
	if o != nil && o.State.Final() {
		return &session.Observation{At: o.At, Answer: o.Answer, Locale: o.Locale, Poll: o.Poll, Content: &session.Content{Status: o.Status}}
	}
	return small(o)
}

// small is nil for a pending observation that is too large to be told: so it is asked for once more.
func small(o *session.Observation) *session.Observation {
	if o != nil && !o.State.Final() && o.Size() > largest {
		return nil
	}
	return o
}

// mostHeldUp bounds how long an answer is held up so that another replica knows of it; less where that was
// in vain last.
const mostHeldUp = 2 * time.Second

// Observed is told of what a client is about to be answered with, and reports whether this replica looks
// after the session: then it is its own business. Else whoever does is told of what was made here. Of an end
// that was made elsewhere this replica is told itself, later, if the session is its own but it is cut off
// for the moment: whoever has made it relies on that. Where a begin can be told in a bounded time it is
// before Observed returns: a session whose begin was answered must not be forgotten with this replica. A
// final answer is stored in any case.
func (d *Door) Observed(v *session.Variant, o *session.Observation) (here bool) {
	d.noteUnheard(v, o)
	id := d.o.ID(v)
	switch {
	case d.o.Fleet.Holds(id):
		return true
	case !o.Elsewhere:
	case o.State.Final() && d.o.Fleet.Owns(id):
	default:
		return false
	}
	if o.State == session.Pending {
		ctx, cancel := d.patience.Context(d.ctx, mostHeldUp)
		defer cancel()
		err := d.tell(ctx, sighting{v: v, o: small(o), at: o.At})
		if d.patience.Told(err); err == nil {
			return false
		}
	}
	d.Seen(v, o, o.At)
	return false
}

// TellRest tells others what was seen here, and returns when each of them knows, or ctx has ended. It is
// called before the fleet is left.
func (d *Door) TellRest(ctx context.Context) {
	d.TellUnheard()
	d.tellUntilKnown(ctx, tellRestAgain)
}

// tellUntilClosed tells others what was seen here.
func (d *Door) tellUntilClosed() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.news:
		}
		d.tellUntilKnown(d.ctx, tellAgain)
	}
}

// tellUntilKnown tells others, again and again, until each of them knows, or ctx has ended.
func (d *Door) tellUntilKnown(ctx context.Context, again time.Duration) {
	for d.tellAll(ctx) > 0 && period.Pause(ctx, again) == nil {
	}
}

// tellAll returns how many could not be told of.
func (d *Door) tellAll(ctx context.Context) int {
	var left atomic.Int64
	var telling errgroup.Group
	telling.SetLimit(tellAtOnce)
	for _, each := range d.seen.list() {
		telling.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, tellTime)
			defer cancel()
			if err := d.tell(ctx, each); err != nil {
				d.o.Log.Debug("the replica that looks after a session could not be told of it yet", "session", d.o.ID(each.v), "error", err)
				left.Add(1)
				return nil
			}
			d.seen.over(each)
			return nil
		})
	}
	telling.Wait()
	return int(left.Load())
}
