package upstream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// underWay is what is in flight.
type underWay struct {
	*inflight
	polls, forwards []func()
}

func (f *underWay) poll(ctx context.Context) error {
	release, err := f.inflight.poll(ctx)
	if err == nil {
		f.polls = append(f.polls, release)
	}
	return err
}

func (f *underWay) forward(ctx context.Context) error {
	release, err := f.inflight.forward(ctx)
	if err == nil {
		f.forwards = append(f.forwards, release)
	}
	return err
}

// fill lets in as many as there is room for at once.
func fill(t *testing.T, enter func(context.Context) error) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		err := enter(ctx)
		cancel()
		if err != nil {
			return
		}
	}
}

// TestWhoIsLetIn: never more than all are in flight, what passes through leaves a
// quarter for polls, and polls may have what it leaves.
func TestWhoIsLetIn(t *testing.T) {
	for _, c := range []struct{ all, forwards int }{{1, 1}, {2, 2}, {3, 3}, {4, 3}, {8, 6}, {10, 8}, {256, 192}} {
		synctest.Test(t, func(t *testing.T) {
			f := underWay{inflight: newInflight(c.all)}
			fill(t, f.forward)
			if len(f.forwards) != c.forwards {
				t.Errorf("of %d, %d pass through; want %d", c.all, len(f.forwards), c.forwards)
			}
			fill(t, f.poll)
			if got := len(f.forwards) + len(f.polls); got != c.all {
				t.Errorf("of %d, %d are in flight; want all", c.all, got)
			}
			for _, release := range f.forwards {
				release()
			}
			fill(t, f.poll)
			if len(f.polls) != c.all {
				t.Errorf("of %d, %d polls are in flight; want all", c.all, len(f.polls))
			}
			for _, release := range f.polls {
				release()
			}
			f.forwards = nil
			fill(t, f.forward)
			if len(f.forwards) != c.forwards {
				t.Errorf("of %d, %d pass through after polls; want %d", c.all, len(f.forwards), c.forwards)
			}
		})
	}
}

// TestWaitingForARelease: whoever waits gets the next one that is given back, and is told
// after a while that there was none.
func TestWaitingForARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := underWay{inflight: newInflight(4)}
		fill(t, f.forward)
		fill(t, f.poll)
		start := time.Now()
		for name, enter := range map[string]func(context.Context) error{"a poll": f.poll, "a request": f.forward} {
			failure, ok := errors.AsType[*Failure](enter(t.Context()))
			if !ok || failure.Reason != Overload || !failure.NotSent() {
				t.Errorf("%s without room: %v; want %s", name, failure, Overload)
			}
			if waited := time.Since(start); waited != queueing {
				t.Errorf("%s has waited for %v; want %v", name, waited, queueing)
			}
			start = time.Now()
		}
		time.AfterFunc(time.Second, f.polls[0])
		time.AfterFunc(time.Second, f.forwards[0])
		// In this order, as a poll may have either.
		if err := f.forward(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("a request, when one is given back: %v after %v; want nil after %v", err, time.Since(start), time.Second)
		}
		if err := f.poll(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("a poll, when one is given back: %v after %v; want nil after %v", err, time.Since(start), time.Second)
		}
	})
}

// TestPollsWaitForAnyRelease: whoever comes to find none free gets the first one that is,
// whatever it was used for.
func TestPollsWaitForAnyRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newInflight(64)
		var all sync.WaitGroup
		for range 124 {
			all.Go(func() {
				release, err := s.poll(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(900 * time.Millisecond)
				release()
			})
		}
		start := time.Now()
		all.Wait()
		if took := time.Since(start); took != 1800*time.Millisecond {
			t.Errorf("124 polls of 0.9s with room for 64 took %v; want 1.8s", took)
		}
	})
}
