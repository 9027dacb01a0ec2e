package cache

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"pollbridge/session"
)

// keepAgainAfter is how long after a failure Finals is asked again to keep an answer.
const keepAgainAfter = time.Second

// mostUnkept is how many bytes of answers wait to be kept.
const mostUnkept = 256 << 20

// Unkept holds the final observations that Finals could not keep, until it can, or until
// their time is over. The zero value is empty. It is safe for concurrent use.
type Unkept struct {
	mu      sync.Mutex
	answers map[unkeptKey]*session.Variant // guarded by mu, as below
	size    int
}

type unkeptKey struct {
	key string // of the variant
	o   *session.Observation
}

// add reports whether there was room for another one.
func (u *Unkept) add(v *session.Variant, o *session.Observation) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.size+o.Size() > mostUnkept {
		return false
	}
	if u.answers == nil {
		u.answers = map[unkeptKey]*session.Variant{}
	}
	u.answers[unkeptKey{v.Key(), o}] = v
	u.size += o.Size()
	return true
}

// holds reports whether an observation of the record is one that Finals could not keep.
func (u *Unkept) holds(known *record) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	held := func(o *session.Observation) bool { return u.answers[unkeptKey{known.key, o}] != nil }
	return held(known.newest) || slices.ContainsFunc(known.others, held)
}

// Closest returns the answer to what asked accepts that was made closest to a time, and to what; nil
// where there is none.
func (u *Unkept) Closest(at time.Time, asked func(*session.Variant) bool) (closest *session.Observation, to *session.Variant) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, v := range u.answers {
		if (closest == nil || k.o.At.Sub(at).Abs() < closest.At.Sub(at).Abs()) && asked(v) {
			closest, to = k.o, v
		}
	}
	return closest, to
}

// Count is how many answers wait until Finals can keep them.
func (u *Unkept) Count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.answers)
}

// forget drops the answers to questions about sessions that were erased.
func (u *Unkept) forget(erased func(key string) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.answers, func(k unkeptKey, _ *session.Variant) bool {
		if !erased(k.key) {
			return false
		}
		u.size -= k.o.Size()
		return true
	})
}

func (u *Unkept) all() map[unkeptKey]*session.Variant {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.answers)
}

// drop reports whether the answer was still there.
func (u *Unkept) drop(k unkeptKey) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, held := u.answers[k]
	if held {
		delete(u.answers, k)
		u.size -= k.o.Size()
	}
	return held
}

func (s *Statuses) keepAgainUntilQuit() {
	ticker := time.NewTicker(keepAgainAfter)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.keepAgain()
		case <-s.quit:
			return
		}
	}
}

// keepAgain tries once more to make durable what could not be, unless it is forgotten.
func (s *Statuses) keepAgain() {
	for k, v := range s.unkept.all() {
		if s.leftOfFinal(k.o, time.Now()) <= 0 {
			s.unkept.drop(k)
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), finalsTimeout)
		err := s.options.Finals.Keep(ctx, v, k.o)
		cancel()
		s.patience.Told(err)
		if errors.Is(err, context.DeadlineExceeded) {
			return // the others would only wait as long
		}
		if err == nil && s.unkept.drop(k) {
			s.keptAfterAll(v)
		}
	}
}

func (s *Statuses) keptAfterAll(v *session.Variant) {
	s.options.Log.Info("final answer stored after all", "endpoint", v.Endpoint.Name, "token", v.ShortToken())
	if s.options.Kept != nil {
		s.options.Kept(nil)
	}
}
