package watch_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

// hourly has a lab poll every hour, by the adaptive schedule that has learnt nothing.
func hourly(l *lab) {
	l.cfg.Schedule, l.cfg.Interval, l.cfg.Deadline = watch.Adaptive, time.Hour, 24*time.Hour
}

// observedLongAgo is an hourly lab with sessions that are due, tok0 and so on.
func observedLongAgo(t *testing.T, sessions int, changes ...func(*lab)) *lab {
	t.Helper()
	l := unopened(t, append(changes, hourly)...)
	l.prepare()
	t.Cleanup(l.close)
	o := observation(session.Pending)
	o.At = o.At.Add(-2 * time.Hour)
	for i := range sessions {
		token := fmt.Sprint("tok", i)
		l.say(token, session.Pending)
		l.watch(token)
		l.w.Observe(l.variant(token), o)
	}
	testkit.NoError(t, l.w.Start())
	return l
}

// wantGap wants a session to be due an interval after an observation, or a tenth less or more, and
// that to serve for as long.
func (l *lab) wantGap(v *session.Variant, o *session.Observation) {
	l.t.Helper()
	at, ok := l.w.Due(session.ID(l.store, v))
	if gap := at.Sub(o.At); !ok || gap < 54*time.Minute || gap > 66*time.Minute || l.w.Fresh(v, o) != gap {
		l.t.Errorf("due %v after the observation, which serves for %v, want about an hour", gap, l.w.Fresh(v, o))
	}
}

// TestEndOfAnOutageIsSeenByAClient: what a client's poll brings after failures counts as if the watch
// had asked, which was about to.
func TestEndOfAnOutageIsSeenByAClient(t *testing.T) {
	t.Parallel()
	l := newLab(t, hourly)
	l.fail("tok")
	s := l.watch("tok")
	failed := func() watch.Polling {
		p, err := l.w.Polling(t.Context(), s.ID)
		testkit.NoError(t, err)
		return p
	}
	testkit.Eventually(t, "a failure", func() bool { return failed().Failures == 1 })
	o := observation(session.Pending)
	o.At = failed().Next.Add(-time.Minute)
	l.w.Observe(l.variant("tok"), o)
	l.wantGap(l.variant("tok"), o)
	if p := failed(); p.Failures != 0 || p.Failure != "" {
		t.Errorf("Polling = %+v after an answer", p)
	}
	late := observation(session.Pending) // it was made before
	l.w.Observe(l.variant("tok"), late)
	l.wantGap(l.variant("tok"), o)
}

// TestOwnPollServesUntilTheNext: what a watch's poll brings serves as long as what a client's does.
func TestOwnPollServesUntilTheNext(t *testing.T) {
	t.Parallel()
	l := observedLongAgo(t, 1)
	testkit.Eventually(t, "a poll", func() bool { return l.questions("tok0") == 1 && l.w.Out() == 0 })
	id := session.ID(l.store, l.variant("tok0"))
	at, _ := l.w.Due(id)
	p, err := l.w.Polling(t.Context(), id)
	testkit.NoError(t, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.serves != at.Sub(p.Last) || l.serves < 54*time.Minute || l.serves > 66*time.Minute {
		t.Errorf("it serves for %v, and the next poll is %v after it, want about an hour", l.serves, at.Sub(p.Last))
	}
}

// TestObservedWhileAllWorkersAreBusy: a session that a client asked about while it waited for a worker is
// not asked about again.
func TestObservedWhileAllWorkersAreBusy(t *testing.T) {
	t.Parallel()
	const sessions = watch.Workers + 10
	turns, asking := make(chan struct{}), atomic.Int64{}
	l := observedLongAgo(t, sessions, func(l *lab) { l.turns, l.asking = turns, func() { asking.Add(1) } })
	testkit.Eventually(t, "one to wait for a worker", func() bool { return asking.Load() == watch.Workers && l.w.Out() == watch.Workers+1 })
	observed := observation(session.Pending)
	for i := range sessions {
		v := l.variant(fmt.Sprint("tok", i))
		l.w.Observe(v, observed)
		l.wantGap(v, observed)
	}
	close(turns)
	testkit.Eventually(t, "all workers to be done", func() bool { return l.w.Out() == 0 })
	if n := asking.Load(); n != watch.Workers {
		t.Errorf("the upstream was asked %d times, want once by each of %d workers", n, watch.Workers)
	}
}

// TestNothingIsAskedWithinTheShortestGap: whatever makes a session due, here that a question with a further
// field was answered that it is over, what was seen a moment ago is enough.
func TestNothingIsAskedWithinTheShortestGap(t *testing.T) {
	t.Parallel()
	l := newLab(t, hourly)
	l.say("tok", session.Pending)
	l.watch("tok")
	testkit.Eventually(t, "a poll", func() bool { return l.questions("tok") == 1 && l.w.Out() == 0 })
	l.w.Observe(l.variant("tok"), observation(session.Pending))
	l.w.Observe(l.fielded("tok"), observation(session.Refused))
	testkit.Eventually(t, "another one", func() bool { return l.questions("tok") == 2 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.enough < 15*time.Minute || l.enough > 16*time.Minute {
		t.Errorf("it wants no answer older than %v, want a quarter of the interval", l.enough)
	}
}
