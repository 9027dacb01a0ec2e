package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
)

// TestEachWaiterHasItsOwnDeadline, and the one that started the request may be the
// first to leave.
func TestEachWaiterHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := always(signed)
		p.takes = 5 * time.Second
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		start := time.Now()
		var waiters sync.WaitGroup
		for i := 1; i <= 9; i++ {
			waiters.Go(func() {
				gone := fmt.Errorf("client %d left", i)
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(i)*time.Second, gone)
				defer cancel()
				r, err := get(ctx, s, v)
				took := time.Since(start)
				switch {
				case i < 5 && (!errors.Is(err, gone) || took != time.Duration(i)*time.Second):
					t.Errorf("client %d: %s after %v; want its own cause after %ds", i, describe(r, err), took, i)
				case i > 5 && (err != nil || took != 5*time.Second):
					t.Errorf("client %d: %s after %v; want the answer after 5s", i, describe(r, err), took)
				}
			})
			synctest.Wait()
		}
		waiters.Wait()
		wantPolls(t, p, 1)
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		wantPolls(t, p, 1)
	})
}

// TestTheAnswerIsThereThoughEverybodyLeft: it may have been the only one.
func TestTheAnswerIsThereThoughEverybodyLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(signed(), notFound())
		p.takes = 5 * time.Second
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		ctx, leave := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		time.AfterFunc(time.Second, func() { leave(gone) })
		if r, err := get(ctx, s, v); !errors.Is(err, gone) {
			t.Errorf("Get = %s; want the cause", describe(r, err))
		}
		time.Sleep(5 * time.Second)
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		wantPolls(t, p, 1)
	})
}

// TestFreshAnswerForWhoHasNoTimeLeft: memory costs nothing.
func TestFreshAnswerForWhoHasNoTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatuses(t, config(), always(pending))
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if r, err := s.Get(ctx, v); err != nil || r.How != cache.Hit {
			t.Errorf("Get = %s; want a hit", describe(r, err))
		}
	})
}

func TestCloseWaitsForTheFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := newFinals()
		p := always(signed)
		p.takes = 5 * time.Second
		s, err := cache.New(config(), cache.Options{Poller: p, Finals: known, Log: discard})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Get(ctx, question(t, "t", lt)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Get = %v; want the deadline", err)
		}
		s.Close()
		if known.count() != 1 {
			t.Error("Close did not wait for the final answer that was under way")
		}
	})
}

// TestQuestionsDoNotWaitForEachOther, nor does one answer cross to another.
func TestQuestionsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &poller{takes: time.Second, answer: func(_ int, v *session.Variant) (*session.Observation, error) {
			return said(session.Succeeded, v.Token), nil
		}}
		s := newStatuses(t, config(), p)
		start := time.Now()
		for round := range 2 {
			var clients sync.WaitGroup
			for i := range 500 {
				clients.Go(func() {
					token := fmt.Sprint("token-", i)
					want(t, s, question(t, token, i%2), session.Succeeded, token)
				})
			}
			clients.Wait()
			if took := time.Since(start); took != time.Second {
				t.Errorf("round %d ended after %v; want 1s", round, took)
			}
		}
		wantPolls(t, p, 500)
	})
}

// TestAHashIsNoIdentity is promise 3 in memory: ristretto finds what it holds by a
// hash, which two questions may share.
func TestAHashIsNoIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatuses(t, config(), always(pending))
		mine, theirs := question(t, "mine", lt), question(t, "theirs", lt)
		o := signed()
		o.At = time.Now()
		s.Collide(mine, theirs, o)
		if r, ok := s.Fresh([]byte(mine.Key()), lt); ok {
			t.Errorf("Fresh = %s; want nothing", describe(r, nil))
		}
		want(t, s, mine, session.Pending, `{"status":"waiting"}`)
	})
}
