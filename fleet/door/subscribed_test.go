package door_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// subscribers are who wants to know of sessions, as far as a replica has heard. The zero value knows of
// nobody.
type subscribers struct {
	made     *atomic.Bool // there are some
	known    atomic.Bool
	coverage atomic.Uint64
	slow     atomic.Bool // nothing is heard
}

func (s *subscribers) Wants(*session.Variant) bool { return s.known.Load() }

// Current has the replica hear of all that there are.
func (s *subscribers) Current(ctx context.Context) error {
	if s.slow.Load() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if s.made.Load() {
		s.hear()
	}
	return nil
}

func (s *subscribers) hear() {
	if !s.known.Swap(true) {
		s.coverage.Add(1)
	}
}

// TestSubscriptionIsHeardOfInTime: a replica that has not heard of a subscription has, before it
// observes what another one asks which has; that asks again where it has answered before.
func TestSubscriptionIsHeardOfInTime(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	for _, before := range []bool{true, false} {
		l.forgetSubscribers(replicas)
		v := l.held(replicas[0])
		want := []string{"pending, wanted"}
		if before {
			want = []string{"pending", "pending, wanted"}
			_, err := replicas[1].statuses.Get(testkit.Within(t), v)
			testkit.NoError(t, err)
		}
		l.subscribed.Store(true)
		replicas[1].subscribers.hear()
		for range 2 {
			result, err := replicas[1].statuses.Get(testkit.Within(t), v)
			if err != nil || result.State != session.Pending {
				t.Errorf("Get = %v, %v", result.Observation, err)
			}
		}
		l.mu.Lock()
		if got := l.observed[v.Token]; !slices.Equal(got, want) || l.polls[v.Token] != 1 {
			t.Errorf("asked before: %t: observed %q, want %q; %d polls", before, got, want, l.polls[v.Token])
		}
		l.mu.Unlock()
	}
}

// TestSubscriptionIsHeardOfByTheFirstPoll: a session that is asked about once is wanted by who has
// subscribed before, though nobody who was asked has heard of that.
func TestSubscriptionIsHeardOfByTheFirstPoll(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	for _, asked := range replicas {
		l.forgetSubscribers(replicas)
		l.subscribed.Store(true)
		v := l.held(replicas[0])
		_, err := asked.statuses.Get(testkit.Within(t), v)
		testkit.NoError(t, err)
		l.mu.Lock()
		if got := l.observed[v.Token]; !slices.Equal(got, []string{"pending, wanted"}) {
			t.Errorf("observed %q", got)
		}
		l.mu.Unlock()
	}
}

// TestSubscriptionIsHeardOfLate: a session that is asked about once is observed again for who has
// subscribed before, where the replica that looks after it hears of that only when it has answered.
func TestSubscriptionIsHeardOfLate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	for _, asked := range replicas {
		l.forgetSubscribers(replicas)
		l.subscribed.Store(true)
		replicas[0].subscribers.slow.Store(true)
		v := l.held(replicas[0])
		_, err := asked.statuses.Get(testkit.Within(t), v)
		testkit.NoError(t, err)
		l.mu.Lock()
		if got := l.observed[v.Token]; !slices.Equal(got, []string{"pending"}) {
			t.Errorf("observed %q", got)
		}
		l.mu.Unlock()
		replicas[0].subscribers.slow.Store(false)
		testkit.Eventually(t, "it is observed again", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return slices.Contains(l.observed[v.Token], "pending, wanted")
		})
	}
}

// forgetSubscribers has nobody have subscribed.
func (l *lab) forgetSubscribers(replicas []*replica) {
	l.subscribed.Store(false)
	for _, r := range replicas {
		r.subscribers.known.Store(false)
	}
}
