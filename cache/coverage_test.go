package cache_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
)

// TestHitsAreObservedForWhoeverSubscribesLater: what memory answers with is told once more to whoever
// watches, before it is answered, since somebody wants to know by now; the upstream is not asked.
func TestHitsAreObservedForWhoeverSubscribesLater(t *testing.T) {
	for name, ask := range map[string]func(t *testing.T, s *cache.Statuses, v *session.Variant) (cache.Result, error){
		"plain": func(t *testing.T, s *cache.Statuses, v *session.Variant) (cache.Result, error) {
			return get(t.Context(), s, v)
		},
		"of an origin": func(t *testing.T, s *cache.Statuses, v *session.Variant) (cache.Result, error) {
			return s.GetFor(t.Context(), v, shop)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var coverage atomic.Uint64
				var observed atomic.Int32
				p := always(pending)
				s := newStatuses(t, config(), p, func(o *cache.Options) {
					o.Coverage = coverage.Load
					o.Observe = func(*session.Variant, *session.Observation) {
						observed.Add(1)
						time.Sleep(10 * time.Millisecond) // as a write does
					}
				})
				v := question(t, "t", lt)
				s.GetFor(t.Context(), v, shop)
				for round := range int32(3) {
					if n := observed.Load(); n != round+1 {
						t.Errorf("observed %d times after %d subscriptions", n, round)
					}
					coverage.Add(1)
					var clients sync.WaitGroup
					for range 8 {
						clients.Go(func() {
							r, err := ask(t, s, v)
							if err != nil || r.State != session.Pending || r.Asked || r.TTL <= 0 {
								t.Errorf("it is answered %s, with %v left; want what memory holds", describe(r, err), r.TTL)
							}
							if n := observed.Load(); n != round+2 {
								t.Errorf("answered when it was observed %d times of %d", n, round+2)
							}
						})
					}
					clients.Wait()
					if r, fresh := s.Fresh([]byte(v.Key()), lt); !fresh || r.How != cache.Hit {
						t.Errorf("after that it is no hit")
					}
				}
				wantPolls(t, p, 1)
			})
		})
	}
}

// TestObservedAgainIsNoNews: who wants an answer made after the last one gets one, although that is
// just being told again.
func TestObservedAgainIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var coverage atomic.Uint64
		p := always(pending)
		s := newStatuses(t, config(), p, func(o *cache.Options) {
			o.Coverage = coverage.Load
			o.Observe = func(*session.Variant, *session.Observation) { time.Sleep(10 * time.Millisecond) }
		})
		v := question(t, "t", lt)
		first := want(t, s, v, session.Pending, `{"status":"waiting"}`)
		coverage.Add(1)
		var clients sync.WaitGroup
		clients.Go(func() { want(t, s, v, session.Pending, `{"status":"waiting"}`) })
		time.Sleep(time.Millisecond)
		r, err := s.Refresh(t.Context(), v, first.At)
		if err != nil || !r.At.After(first.At) {
			t.Errorf("Refresh = %s of %v; want one after %v", describe(r, err), r.At, first.At)
		}
		clients.Wait()
		wantPolls(t, p, 2)
	})
}
