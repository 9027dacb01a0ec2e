package cache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
)

// TestFreshForAsLongAsIsSaid: a schedule that knows when a session is polled next says for how long
// what is known serves, shorter or longer than usual, whatever ristretto keeps.
func TestFreshForAsLongAsIsSaid(t *testing.T) {
	for _, test := range []struct {
		fresh time.Duration
		polls int // of a client that asks for 12 s
	}{{250 * time.Millisecond, 48}, {0, 12}, {4 * time.Second, 3}, {5 * time.Minute, 1}} {
		for _, size := range []cache.Size{8 << 20, 1} {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.MaxSize = size
				p := always(pending)
				s := newStatuses(t, cfg, p, func(o *cache.Options) {
					o.Fresh = func(*session.Variant, *session.Observation) time.Duration { return test.fresh }
				})
				v := question(t, "one", lt)
				for range 1200 {
					want(t, s, v, session.Pending, `{"status":"waiting"}`)
					time.Sleep(10 * time.Millisecond)
				}
				if n := p.count(); n < test.polls-2 || n > test.polls+1 {
					t.Errorf("fresh for %v, the upstream was asked %d times in 12 s, want %d", test.fresh, n, test.polls)
				}
			})
		}
	}
}

// elsewhere is a Poller whose answers another replica has made, which says for how long they serve.
type elsewhere struct {
	*poller
	fresh time.Duration
}

func (e elsewhere) Poll(ctx context.Context, v *session.Variant, o session.PollOptions) (*session.Observation, error) {
	made, err := e.poller.Poll(ctx, v, o)
	made.Elsewhere = true
	o.Fresh(e.fresh)
	return made, err
}

func TestFreshForAsLongAsAnotherReplicaSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := elsewhere{always(pending), 4 * time.Second}
		s := newStatuses(t, config(), p)
		v := question(t, "one", lt)
		for range 1200 {
			want(t, s, v, session.Pending, `{"status":"waiting"}`)
			time.Sleep(10 * time.Millisecond)
		}
		wantPolls(t, p.poller, 3)
	})
}

// TestRefreshedAfter: who wants something newer than what is known gets it, though that is fresh
// for others. What is known to be over stays so.
func TestRefreshedAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(pending(), pending(), signed())
		s := newStatuses(t, config(), p, func(o *cache.Options) {
			o.Fresh = func(*session.Variant, *session.Observation) time.Duration { return time.Minute }
		})
		v := question(t, "one", lt)
		first := want(t, s, v, session.Pending, `{"status":"waiting"}`)
		time.Sleep(time.Second)
		if r, err := s.Refresh(t.Context(), v, first.At.Add(-1)); err != nil || r.Observation != first.Observation {
			t.Errorf("Refresh after what was before = %s", describe(r, err))
		}
		second, err := s.Refresh(t.Context(), v, first.At)
		if err != nil || !second.At.After(first.At) || second.How != cache.Miss {
			t.Errorf("Refresh = %s", describe(second, err))
		}
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		wantPolls(t, p, 2)
		time.Sleep(time.Second)
		for range 2 {
			if r, err := s.Refresh(t.Context(), v, time.Now().Add(-time.Millisecond)); err != nil || r.State != session.Succeeded {
				t.Errorf("Refresh = %s", describe(r, err))
			}
		}
		wantPolls(t, p, 3)
	})
}

// TestRenewed: what another replica has made is asked for again, however fresh it is; what was made
// here, as that one could not be asked, is not.
func TestRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := elsewhere{always(pending), time.Minute}
		s := newStatuses(t, config(), there)
		v := question(t, "one", lt)
		for n := range 3 {
			if r, err := s.Renew(t.Context(), v); err != nil || r.How != cache.Miss {
				t.Errorf("Renew = %s", describe(r, err))
			}
			want(t, s, v, session.Pending, `{"status":"waiting"}`)
			wantPolls(t, there.poller, n+1)
		}
		here := always(pending)
		s = newStatuses(t, config(), here)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		time.Sleep(100 * time.Millisecond)
		if r, err := s.Renew(t.Context(), v); err != nil || r.How != cache.Hit {
			t.Errorf("Renew = %s", describe(r, err))
		}
		wantPolls(t, here, 1)
	})
}
