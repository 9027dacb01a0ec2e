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
	known    atomic.Bool
	coverage atomic.Uint64
}

func (s *subscribers) Wants(*session.Variant) bool { return s.known.Load() }

// Current has the replica hear of all that there are.
func (s *subscribers) Current(context.Context) error {
	s.hear()
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
		for _, r := range replicas {
			r.subscribers.known.Store(false)
		}
		v := l.held(replicas[0])
		want := []string{"pending, wanted"}
		if before {
			want = []string{"pending", "pending, wanted"}
			_, err := replicas[1].statuses.Get(within(t), v)
			testkit.NoError(t, err)
		}
		replicas[1].subscribers.hear()
		for range 2 {
			result, err := replicas[1].statuses.Get(within(t), v)
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
