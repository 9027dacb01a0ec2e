package door

import (
	"context"
	"maps"
	"sync"
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
	mostSeen      = 10_000
	// tellAtOnce is how many are told of at a time: one whose replica does not answer holds up
	// few others.
	tellAtOnce = 32
)

// seen holds what was observed here and not told yet to the replica that looks after the session, which
// may be this one. The zero value is empty.
type seen struct {
	mu  sync.Mutex
	all map[string]sighting // guarded by mu; by the key of the variant
}

type sighting struct {
	v *session.Variant
	o *session.Observation // nil: a call has started the session
	// wanted is whether somebody wants to know of the session, or may.
	wanted bool
	// at is when that was. What was seen before the session was erased is nobody's business.
	at time.Time
}

// add returns false where there is no room.
func (s *seen) add(next sighting) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.all[next.v.Key()]
	if !ok && len(s.all) >= mostSeen {
		return false
	}
	if ok {
		next.wanted = next.wanted || known.wanted
		if next.o == nil || known.o != nil && known.o.State.Final() { // the first final answer decides
			known.wanted = next.wanted
			next = known
		}
	}
	if s.all == nil {
		s.all = map[string]sighting{}
	}
	s.all[next.v.Key()] = next
	return true
}

// forget forgets what was seen of sessions that were erased.
func (s *seen) forget(erased func(*session.Variant) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.all, func(_ string, seen sighting) bool { return erased(seen.v) })
}

func (s *seen) list() (all []sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.all {
		all = append(all, each)
	}
	return all
}

// told forgets a sighting, unless there is a newer one.
func (s *seen) told(each sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[each.v.Key()] == each {
		delete(s.all, each.v.Key())
	}
}

// Seen is told what was observed here, and when, of a session that another replica looks after; nil
// says that a call has started it. That one is told as soon as it can be. Seen does not wait.
func (d *Door) Seen(v *session.Variant, o *session.Observation, at time.Time) {
	d.see(sighting{v: v, o: o, at: at})
}

func (d *Door) see(s sighting) {
	s.o = asTold(s.o)
	if !d.seen.add(s) {
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
	d.unheard.note(v, o)
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
	for left := d.tellAll(ctx); left > 0; left = d.tellAll(ctx) {
		if period.Pause(ctx, tellRestAgain) != nil {
			return
		}
	}
}

// tellUntilClosed tells others what was seen here.
func (d *Door) tellUntilClosed() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.news:
		}
		for left := d.tellAll(d.ctx); left > 0; left = d.tellAll(d.ctx) {
			if period.Pause(d.ctx, tellAgain) != nil {
				return
			}
		}
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
			d.seen.told(each)
			return nil
		})
	}
	telling.Wait()
	return int(left.Load())
}
