package door_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/period"
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
	for s.slow.Load() {
		if err := period.Pause(ctx, time.Millisecond); err != nil {
			return err
		}
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

// TestSubscriptionIsHeardOfLate: what was seen of a session that is asked about once is told for who has
// subscribed before, where the replica that looks after it hears of that only when it has answered; also
// where that is another one by then.
func TestSubscriptionIsHeardOfLate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	replicas := l.startAll(2)
	l.subscribed.Store(true)
	begin := func(asked *replica, state session.State) *session.Variant {
		l.forgetSubscribers(replicas)
		l.subscribed.Store(true)
		replicas[0].subscribers.slow.Store(true)
		l.answer = func(string) any { return said(state, "{}") }
		v := l.held(replicas[0])
		_, err := asked.statuses.Get(testkit.Within(t), v)
		testkit.NoError(t, err)
		if told := l.toldOf(v); !slices.Equal(told, []string{state.String()}) {
			t.Errorf("told of %q", told)
		}
		return v
	}
	told := func(v *session.Variant, state session.State) {
		t.Helper()
		testkit.Eventually(t, "it is told once more", func() bool { return slices.Contains(l.toldOf(v), state.String()+", wanted") })
	}
	for _, state := range []session.State{session.Pending, session.Succeeded} {
		for _, asked := range replicas {
			v, erased := begin(asked, state), begin(asked, state)
			testkit.NoError(t, replicas[0].door.Erase(testkit.Within(t), erased))
			replicas[0].subscribers.slow.Store(false)
			told(v, state)
			if got := l.toldOf(erased); len(got) > 1 {
				t.Errorf("of a session that was erased it is told: %q", got)
			}
		}
		if state == session.Succeeded {
			v := begin(replicas[0], state)
			testkit.NoError(t, replicas[0].HandOver(testkit.Within(t)))
			testkit.Eventually(t, "the other one looks after the session", func() bool { return replicas[1].Holds(replicas[1].id(v)) })
			replicas[0].door.TellRest(testkit.Within(t))
			told(v, state)
		}
	}
}

// forgetSubscribers has nobody have subscribed.
func (l *lab) forgetSubscribers(replicas []*replica) {
	l.subscribed.Store(false)
	for _, r := range replicas {
		r.subscribers.known.Store(false)
	}
}
