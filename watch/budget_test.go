package watch_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// heldBack is a failure as the upstream's client has them: it wants no polls for a while.
type heldBack time.Duration

func (heldBack) Error() string             { return "held back" }
func (heldBack) Why() string               { return "held_back" }
func (h heldBack) Wait() time.Duration     { return time.Duration(h) }
func (h heldBack) HeldBack() time.Duration { return time.Duration(h) }

// TestRetryAfterHoldsBack: a session of which the upstream wants no polls is due when it does again, and
// what that costs is counted.
func TestRetryAfterHoldsBack(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval, l.cfg.Deadline = 100*time.Millisecond, 55*time.Minute })
	l.say("tok", session.Pending)
	s := l.watch("tok")
	l.next(event.TypePending)
	l.failBy("tok", heldBack(time.Hour))
	testkit.Eventually(t, "the session to be held back", func() bool {
		at, ok := l.w.Due(s.ID)
		return ok && time.Until(at) > 50*time.Minute
	})
	if waits := time.Until(l.w.Since(s.ID)); waits < 50*time.Minute {
		t.Errorf("it begins to wait in %v, want when it is not held back any more", waits)
	}
	if p, err := l.w.Polling(t.Context(), s.ID); err != nil || p.Failures != 0 {
		t.Errorf("Polling = %+v, %v; want no failure", p, err)
	}
	n := l.questions("tok")
	if at, _ := l.w.Due(s.ID); at.After(s.Deadline) {
		t.Errorf("it is due at %v, after its deadline %v", at, s.Deadline)
	}
	if l.questions("tok") != n {
		t.Error("the upstream was asked meanwhile")
	}
}

// TestBudgetDelayIsCounted: an end that is noticed late as polls waited is in the metric.
func TestBudgetDelayIsCounted(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = 100 * time.Millisecond })
	l.say("tok", session.Pending)
	l.watch("tok")
	l.next(event.TypePending)
	l.failBy("tok", heldBack(300*time.Millisecond))
	l.awaitQuestions("tok", 1)
	l.say("tok", session.Succeeded)
	l.next(event.TypeSucceeded)
	for line := range strings.Lines(metricsOf(l.registry)) {
		if value, found := strings.CutPrefix(line, "pollbridge_watch_budget_delay_seconds_total "); found {
			// It was wanted after a tenth of a second, and found after four: a quarter of three.
			if seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil || seconds < .06 {
				t.Errorf("%v seconds are counted, want at least 0.06", value)
			}
			return
		}
	}
	t.Errorf("it is not counted: %s", metricsOf(l.registry))
}

// TestDeadlinePassesWhileHeldBack: a session of which the upstream wants no polls is given up in time.
func TestDeadlinePassesWhileHeldBack(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Deadline = 300 * time.Millisecond })
	l.failBy("tok", heldBack(50*time.Millisecond))
	s := l.watch("tok")
	l.next(event.TypeAbandoned)
	l.awaitEnd(s.ID, "abandoned")
}
