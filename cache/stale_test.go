package cache_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
)

// TestStaleWhileTheUpstreamFails: clients see nothing but "waiting" for as long as
// stale_if_error says, and then the failure.
func TestStaleWhileTheUpstreamFails(t *testing.T) {
	for _, failure := range []error{errDown, errNotSent} {
		t.Run(failure.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStatuses(t, config(), inTurn(pending(), failure))
				v := question(t, "t", lt)
				start := time.Now()
				want(t, s, v, session.Pending, `{"status":"waiting"}`)
				time.Sleep(time.Second)
				for time.Since(start) < 2*time.Minute {
					r := want(t, s, v, session.Pending, `{"status":"waiting"}`)
					if r.How != cache.Stale || !errors.Is(r.Err, failure) || r.TTL > 0 {
						t.Fatalf("after %v: %s, TTL %v, Err %v; want stale, negative, the failure", time.Since(start), r.How, r.TTL, r.Err)
					}
					want(t, s, v.In(en), session.Pending, `{"status":"waiting"}`)
					time.Sleep(700 * time.Millisecond)
				}
				if r, err := get(t.Context(), s, v); !errors.Is(err, failure) {
					t.Errorf("after stale_if_error: %s; want the failure", describe(r, err))
				}
			})
		})
	}
}

func TestOnlyPendingIsServedStale(t *testing.T) {
	for _, o := range []*session.Observation{notFound(), said(session.Unknown, "?")} {
		t.Run(o.State.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStatuses(t, config(), inTurn(o, errDown))
				v := question(t, "t", lt)
				want(t, s, v, o.State, string(o.Body))
				time.Sleep(2 * time.Second)
				if r, err := get(t.Context(), s, v); !errors.Is(err, errDown) {
					t.Errorf("Get = %s; want the failure", describe(r, err))
				}
			})
		})
	}
}

func TestStaleIfErrorZeroServesNothingStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.StaleIfError = 0
		s := newStatuses(t, cfg, inTurn(pending(), errDown))
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		time.Sleep(time.Second)
		if r, err := get(t.Context(), s, v); !errors.Is(err, errDown) {
			t.Errorf("Get = %s; want the failure", describe(r, err))
		}
	})
}

// TestStaleSurvivesRistretto: the answer to fall back on is there in an outage also
// if ristretto never took it.
func TestStaleSurvivesRistretto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.MaxSize = 1
		s := newStatuses(t, cfg, inTurn(pending(), errDown))
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		for range 11 {
			time.Sleep(10 * time.Second)
			want(t, s, v, session.Pending, `{"status":"waiting"}`)
		}
	})
}

// TestFailuresAreRememberedForAWindow: everybody who asks within it is told the same, and
// the upstream is left alone. What was not sent cost it nothing.
func TestFailuresAreRememberedForAWindow(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  any // that the upstream says
		failure error
		polls   int // within one window after the first failure
	}{
		{"nothing is known", nil, errDown, 1},
		{"nothing is known, says a wrapped error", nil, fmt.Errorf("poll: %w", errDown), 1},
		{"nothing is known, and it was not asked", nil, errNotSent, 10},
		{"pending is known", pending(), errDown, 1},
		{"pending is known, and it was not asked", pending(), fmt.Errorf("poll: %w", errNotSent), 10},
		{"not found is known", notFound(), errDown, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := []any{c.failure}
				if c.before != nil {
					answers = []any{c.before, c.failure}
				}
				p := inTurn(answers...)
				s := newStatuses(t, config(), p)
				v := question(t, "t", lt)
				if c.before != nil {
					get(t.Context(), s, v)
					time.Sleep(2 * time.Second)
				}
				before := p.count()
				var told []string
				for range 10 {
					r, err := get(t.Context(), s, v)
					told = append(told, describe(r, err))
					time.Sleep(99 * time.Millisecond)
				}
				if got := p.count() - before; got != c.polls {
					t.Errorf("%d polls within a window; want %d", got, c.polls)
				}
				for _, text := range told {
					if text != told[0] {
						t.Errorf("told %q, then %q", told[0], text)
					}
				}
				time.Sleep(100 * time.Millisecond)
				get(t.Context(), s, v)
				if got := p.count() - before; got != c.polls+1 {
					t.Errorf("%d polls after the window; want one more", got)
				}
			})
		})
	}
}

// TestNewsEndAnOutage: the first good answer is served at once.
func TestNewsEndAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(pending(), errDown, errDown, signed())
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		for range 3 {
			want(t, s, v, session.Pending, `{"status":"waiting"}`)
			time.Sleep(time.Second)
		}
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
	})
}

// TestHangingUpstream: who has a pending answer waits 2 seconds for a newer one.
func TestHangingUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(pending(), signed())
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		p.takes = 10 * time.Second
		time.Sleep(time.Second)
		start := time.Now()
		for range 3 {
			asked := time.Now()
			r := want(t, s, v, session.Pending, `{"status":"waiting"}`)
			if took := time.Since(asked); took != cache.NewsTimeout || r.How != cache.Stale || r.Err == nil {
				t.Errorf("answered %s after %v, Err %v; want stale after %v, with a reason", r.How, took, r.Err, cache.NewsTimeout)
			}
		}
		wantPolls(t, p, 2)
		time.Sleep(10*time.Second - time.Since(start))
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		wantPolls(t, p, 2)
	})
}

// TestHangingUpstreamWithNothingToServe: who has none waits as long as it takes.
func TestHangingUpstreamWithNothingToServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := always(pending)
		p.takes = 10 * time.Second
		s := newStatuses(t, config(), p)
		start := time.Now()
		want(t, s, question(t, "t", lt), session.Pending, `{"status":"waiting"}`)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("answered after %v; want 10s", took)
		}
	})
}

// TestPollerThatNeverReturnsProperly: a panic or runtime.Goexit in the poller fails
// its waiters and nobody else.
func TestPollerThatNeverReturnsProperly(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func()
	}{
		{"panic", func() { panic("oh") }},
		{"panic with nil", func() { panic(nil) }},
		{"runtime.Goexit", runtime.Goexit},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &poller{takes: time.Second, answer: func(n int, _ *session.Variant) (*session.Observation, error) {
					if n == 1 || n == 3 {
						c.end()
					}
					return pending(), nil
				}}
				s := newStatuses(t, config(), p)
				v := question(t, "t", lt)
				for range 5 {
					go func() {
						if r, err := get(t.Context(), s, v); err == nil {
							t.Errorf("Get = %s; want an error", describe(r, err))
						}
					}()
				}
				time.Sleep(2 * time.Second)
				wantPolls(t, p, 1)
				want(t, s, v, session.Pending, `{"status":"waiting"}`)
				time.Sleep(time.Second)
				if r := want(t, s, v, session.Pending, `{"status":"waiting"}`); r.How != cache.Stale {
					t.Errorf("with a pending answer: %s; want stale", r.How)
				}
				time.Sleep(time.Second)
				if r := want(t, s, v, session.Pending, `{"status":"waiting"}`); r.How != cache.Miss {
					t.Errorf("afterwards: %s; want a miss", r.How)
				}
			})
		})
	}
}

// notYet is an error of a poll that may well be made in a moment.
type notYet struct{ notSent }

func (notYet) Soon() bool { return true }

// TestWhoHasNothingWaitsForTheProbes: a session that nothing is known about waits a moment
// while others find out whether the upstream is back; who can be told "waiting" is.
func TestWhoHasNothingWaitsForTheProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := notYet{notSent{errors.New("others are being tried")}}
		s := newStatuses(t, config(), inTurn(busy, busy, busy, pending(), busy))
		v := question(t, "new", lt)
		start := time.Now()
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("answered after %v; want the fourth try", took)
		}
		time.Sleep(time.Second)
		start = time.Now()
		if r := want(t, s, v, session.Pending, `{"status":"waiting"}`); r.How != cache.Stale || time.Since(start) > 0 {
			t.Errorf("%s after %v; want stale at once", describe(r, nil), time.Since(start))
		}
		other := question(t, "another", lt)
		start = time.Now()
		if r, err := get(t.Context(), s, other); !errors.Is(err, busy) || time.Since(start) != 2*time.Second {
			t.Errorf("%s after %v; want the failure after two seconds", describe(r, err), time.Since(start))
		}
	})
}
