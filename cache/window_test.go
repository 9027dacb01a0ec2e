package cache_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// TestOnePollPerWindow is promise 1: whatever ristretto keeps, 64 clients who ask
// for 5 seconds cost one request per window, and never two at once.
func TestOnePollPerWindow(t *testing.T) {
	for _, c := range []struct {
		name    string
		maxSize cache.Size
		flood   int // fresh questions beside, each client, each round
	}{
		{"ristretto keeps", 8 << 20, 0},
		{"ristretto refuses everything", 1, 0},
		{"ristretto is flooded", 64 << 10, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.MaxSize = c.maxSize
				p := always(pending)
				p.takes = 50 * time.Millisecond
				others := always(pending)
				v := question(t, "one", lt)
				s := newStatuses(t, cfg, pollFunc(func(asked *session.Variant) (*session.Observation, error) {
					if asked.Token == "one" {
						return p.Poll(t.Context(), asked, session.PollOptions{})
					}
					return others.Poll(t.Context(), asked, session.PollOptions{})
				}))
				var clients sync.WaitGroup
				for i := range 64 {
					clients.Go(func() {
						for start, n := time.Now(), 0; time.Since(start) < 5*time.Second; n++ {
							want(t, s, v.In(i%2), session.Pending, `{"status":"waiting"}`)
							for j := range c.flood {
								other := question(t, fmt.Sprintf("%d-%d-%d", i, n, j), lt)
								want(t, s, other, session.Pending, `{"status":"waiting"}`)
							}
							time.Sleep(20 * time.Millisecond)
						}
					})
				}
				clients.Wait()
				if n := p.count(); n < 4 || n > 6 {
					t.Errorf("64 clients made %d requests in 5 s; want about 5", n)
				}
				if p.mostAtOnce() > 1 {
					t.Errorf("%d requests were in flight at once; want 1", p.mostAtOnce())
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				for i := range p.polls[1:] {
					if gap := p.polls[i+1].Sub(p.polls[i]); gap < cfg.PendingTTL {
						t.Errorf("requests %d and %d are %v apart; want at least %v", i+1, i+2, gap, cfg.PendingTTL)
					}
				}
			})
		})
	}
}

// TestOnePollPerWindowInRealTime has the races that a bubble has not.
func TestOnePollPerWindowInRealTime(t *testing.T) {
	cfg := config()
	cfg.PendingTTL = 20 * time.Millisecond
	p := always(pending)
	s := newStatuses(t, cfg, p)
	v := question(t, "one", lt)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
				want(t, s, v, session.Pending, `{"status":"waiting"}`)
			}
		})
	}
	clients.Wait()
	if p.mostAtOnce() > 1 {
		t.Errorf("%d requests were in flight at once; want 1", p.mostAtOnce())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.polls[1:] {
		if gap := p.polls[i+1].Sub(p.polls[i]); gap < cfg.PendingTTL {
			t.Errorf("requests %d and %d are %v apart; want at least %v", i+1, i+2, gap, cfg.PendingTTL)
		}
	}
}

func TestEachStateIsFreshForItsTime(t *testing.T) {
	callers := said(session.Unknown, "wrong")
	callers.CallersFault = true
	for _, c := range []struct {
		name   string
		answer *session.Observation
		window time.Duration
	}{
		{"pending", pending(), time.Second},
		{"unknown", said(session.Unknown, "?"), time.Second},
		{"succeeded", signed(), 15 * time.Minute},
		{"refused", said(session.Refused, "no"), 15 * time.Minute},
		{"expired", said(session.Expired, "late"), 15 * time.Minute},
		{"failed", said(session.Failed, "bad"), 15 * time.Minute},
		{"not found", notFound(), 2 * time.Second},
		{"caller's fault", callers, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := inTurn(c.answer)
				// Finals has forgotten it by then.
				s := newStatuses(t, config(), p, with(&testkit.Finals{Retain: time.Minute}))
				v := question(t, "t", lt)
				r := want(t, s, v, c.answer.State, string(c.answer.Body))
				if r.How != cache.Miss || r.TTL != c.window || r.Expired {
					t.Errorf("first: %s, TTL %v, expired %t; want a miss, %v, false", r.How, r.TTL, r.Expired, c.window)
				}
				time.Sleep(c.window - time.Millisecond)
				if r = want(t, s, v, c.answer.State, string(c.answer.Body)); r.How != cache.Hit || r.TTL != time.Millisecond {
					t.Errorf("at the end of the window: %s, TTL %v; want a hit, 1ms", r.How, r.TTL)
				}
				wantPolls(t, p, 1)
				time.Sleep(time.Millisecond)
				if r = want(t, s, v, c.answer.State, string(c.answer.Body)); r.How != cache.Miss {
					t.Errorf("after the window: %s; want a miss", r.How)
				}
				wantPolls(t, p, 2)
			})
		})
	}
}

func TestNotFoundIsNotRememberedIfItsTimeIsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.NotFoundTTL = 0
		p := always(notFound)
		s := newStatuses(t, cfg, p)
		v := question(t, "t", lt)
		for range 3 {
			want(t, s, v, session.NotFound, "not found")
		}
		wantPolls(t, p, 3)
		// Whoever asks at the same time still shares one request.
		p.takes = time.Second
		var clients sync.WaitGroup
		for range 10 {
			clients.Go(func() { want(t, s, v, session.NotFound, "not found") })
		}
		clients.Wait()
		wantPolls(t, p, 4)
	})
}

// TestNotFoundReplacesPendingThoughItsTimeIsZero: an answer that is not remembered
// still is the newest there is.
func TestNotFoundReplacesPendingThoughItsTimeIsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.NotFoundTTL = 0
		s := newStatuses(t, cfg, inTurn(pending(), notFound(), errDown))
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		time.Sleep(1500 * time.Millisecond)
		want(t, s, v, session.NotFound, "not found")
		time.Sleep(1500 * time.Millisecond)
		if r, err := get(t.Context(), s, v); err == nil {
			t.Errorf("after not_found and a failure, Get = %s; want the failure", describe(r, err))
		}
	})
}

func TestCollapsedClientsAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := always(signed)
		p.takes = time.Second
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		var mu sync.Mutex
		count := map[cache.How]int{}
		var clients sync.WaitGroup
		for range 10 {
			clients.Go(func() {
				r := want(t, s, v, session.Succeeded, `{"status":"ok"}`)
				mu.Lock()
				defer mu.Unlock()
				count[r.How]++
			})
		}
		clients.Wait()
		if count[cache.Miss] != 1 || count[cache.Collapsed] != 9 {
			t.Errorf("%d misses, %d collapsed; want 1, 9", count[cache.Miss], count[cache.Collapsed])
		}
	})
}

func TestExpiredTellsThatSomethingWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatuses(t, config(), always(pending))
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		time.Sleep(time.Second)
		if r := want(t, s, v, session.Pending, `{"status":"waiting"}`); !r.Expired {
			t.Error("Expired is false though an older answer was known")
		}
	})
}

// TestSlotGoneBetweenTwoLooks: a client looks into ristretto, then waits for the
// slot's lock. Meanwhile a whole flight comes and goes, and the sweep takes its slot.
// What the client saw before is then no longer the newest.
func TestSlotGoneBetweenTwoLooks(t *testing.T) {
	p := inTurn(notFound())
	s := newStatuses(t, config(), p)
	v := question(t, "t", lt)
	old := pending()
	old.At = time.Now().Add(-5 * time.Second)
	s.Remember(v, old)

	unlock := s.LockSlot(v)
	answer := make(chan string)
	go func() { answer <- describe(s.Get(t.Context(), v)) }()
	blocked(t, "cache.(*Statuses).look")
	done := signed()
	done.At = time.Now()
	s.Remember(v, done)
	unlock()
	if got := <-answer; got != describe(cache.Result{Observation: done, How: cache.Hit}, nil) {
		t.Errorf("Get = %s; want the final answer that was there", got)
	}
	wantPolls(t, p, 0)
}
