package door

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"pollbridge/session"
)

const (
	seenKind  = "seen"
	tellAgain = time.Second
	tellTime  = 10 * time.Second
	mostSeen  = 10_000
	// tellAtOnce is how many are told of at a time: one whose replica does not answer holds up
	// few others.
	tellAtOnce = 32
)

// seen holds what was observed here of sessions that another replica looks after, until that
// knows: while this one was cut off. The zero value is empty.
type seen struct {
	mu  sync.Mutex
	all map[string]sighting // guarded by mu; by the key of the variant
}

type sighting struct {
	v *session.Variant
	o *session.Observation // nil: a call has started the session
}

// add returns false where there is no room.
func (s *seen) add(v *session.Variant, o *session.Observation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.all[v.Key()]
	if !ok && len(s.all) >= mostSeen {
		return false
	}
	if ok && (o == nil || known.o != nil && known.o.State.Final()) {
		return true // the first final answer decides
	}
	if s.all == nil {
		s.all = map[string]sighting{}
	}
	s.all[v.Key()] = sighting{v, o}
	return true
}

// forget forgets what was seen of a session.
func (s *seen) forget(sessionKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.all {
		if session.SessionKey(key) == sessionKey {
			delete(s.all, key)
		}
	}
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

// Seen is told what was observed here of a session that another replica looks after. That one is
// told as soon as it can be. Seen does not wait.
func (d *Door) Seen(v *session.Variant, o *session.Observation) { d.later(v, o) }

func (d *Door) later(v *session.Variant, o *session.Observation) {
	if o != nil && o.State.Final() { // what is stored counts
		o = &session.Observation{At: o.At, Answer: o.Answer, Locale: o.Locale, Content: &session.Content{Status: o.Status}}
	}
	if !d.seen.add(v, o) {
		d.o.Log.Error("too much waits for the replicas that look after sessions: what was seen of one is lost", "session", d.o.ID(v))
	}
	select {
	case d.news <- struct{}{}:
	default:
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
		for left := d.tellAll(); left > 0; left = d.tellAll() {
			select {
			case <-d.ctx.Done():
				return
			case <-time.After(tellAgain):
			}
		}
	}
}

// tellAll returns how many could not be told of.
func (d *Door) tellAll() int {
	var left atomic.Int64
	var telling errgroup.Group
	telling.SetLimit(tellAtOnce)
	for _, each := range d.seen.list() {
		telling.Go(func() error {
			ctx, cancel := context.WithTimeout(d.ctx, tellTime)
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
