package cache

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"pollbridge/session"
)

// siblings knows, of each session, the requests that are under way for its variants, and
// the final answer that one of them got of late: an upstream may give that only once, to
// whichever variant asks first, and says to the others that it knows no such session.
type siblings struct {
	mu      sync.Mutex
	flights map[string][]*flight // by session.SessionKey; guarded by mu, as all below
	finals  map[string]recentFinal
}

type recentFinal struct {
	o     *session.Observation
	until time.Time
}

func newSiblings() *siblings {
	return &siblings{flights: map[string][]*flight{}, finals: map[string]recentFinal{}}
}

func (s *siblings) enter(key string, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights[key] = append(s.flights[key], f)
}

// leave is told of the end of a flight, and of what is known after it. A final answer is
// remembered for as long as a variant may be remembered as not found.
func (s *siblings) leave(key string, f *flight, known *record, lifetime time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[key] = without(f, s.flights[key]); len(s.flights[key]) == 0 {
		delete(s.flights, key)
	}
	if o := known.final(); o != nil {
		s.finals[key] = recentFinal{o, time.Now().Add(lifetime)}
	}
}

// others returns the flights of the session but f.
func (s *siblings) others(key string, f *flight) []*flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return without(f, slices.Clone(s.flights[key]))
}

func without(f *flight, all []*flight) []*flight {
	return slices.DeleteFunc(all, func(other *flight) bool { return other == f })
}

// recent returns the final answer that a variant of the session got of late, or nil.
func (s *siblings) recent(key string) *session.Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	final, ok := s.finals[key]
	if !ok || !time.Now().Before(final.until) {
		return nil
	}
	return final.o
}

// forget forgets what is known of sessions that were erased. What is under way brings nothing
// more, when it returns.
func (s *siblings) forget(erased func(key string) bool) {
	s.mu.Lock()
	var under []*flight
	for key, flights := range s.flights {
		if erased(key) {
			under = append(under, flights...)
		}
	}
	s.mu.Unlock()
	for _, f := range under {
		f.erase()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.finals, func(key string, _ recentFinal) bool { return erased(key) })
}

func (s *siblings) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.finals, func(_ string, final recentFinal) bool { return !now.Before(final.until) })
}

// otherFinal returns the final answer to another variant of v's session, or nil, where
// the upstream says that it knows no such session. It waits for the variants that are
// asking: one of them may be getting the answer. An answer to a credential that is
// refused is nobody's.
func (s *Statuses) otherFinal(v *session.Variant, f *flight, o *session.Observation) *session.Observation {
	if o.State != session.NotFound || refuses(o) || f.known != nil && refuses(f.known.newest) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), finalsTimeout)
	defer cancel()
	key := session.SessionKey(v.Key())
	for _, other := range s.siblings.others(key, f) {
		select {
		case <-other.notFinal:
		case <-other.done:
		case <-ctx.Done():
		}
	}
	if recent := s.siblings.recent(key); recent != nil {
		return recent
	}
	ctx, cancel = s.patience.Context(context.Background(), finalsTimeout)
	defer cancel()
	other, err := s.options.Finals.Other(ctx, v)
	s.logUnread(v, err)
	return other
}

// refuses reports whether an observation says that its credential is refused.
func refuses(o *session.Observation) bool {
	return o.CallersFault || o.Status == 401 || o.Status == 403
}
