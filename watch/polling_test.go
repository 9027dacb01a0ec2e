package watch_test

import (
	"errors"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

// TestHowASessionIsPolled: when it was, when it is again, and why nothing came of it.
func TestHowASessionIsPolled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("t", session.Pending)
	id := l.watch("t").ID
	polling := func() watch.Polling {
		p, err := l.w.Polling(t.Context(), id)
		testkit.NoError(t, err)
		return p
	}
	testkit.Eventually(t, "it was polled", func() bool { return !polling().Last.IsZero() })
	if p := polling(); p.Failures != 0 || p.Failure != "" || !p.NotBefore.IsZero() || p.Next.Sub(p.Last) > time.Second {
		t.Errorf("Polling = %+v; want one that goes well", p)
	}
	if states := l.w.States(); len(states) != 1 || states["pending"] != 1 {
		t.Errorf("States = %v; want one that is pending", states)
	}
	l.fail("t")
	testkit.Eventually(t, "two failures are counted", func() bool { return polling().Failures >= 2 })
	if p := polling(); p.Failure != "no_answer" || !p.NotBefore.IsZero() || !p.Next.After(p.Last) {
		t.Errorf("Polling = %+v; want no answer, and nothing to wait for", p)
	}
	l.failBy("t", errors.Join(errors.New("stale"), heldBack(2*time.Second)))
	testkit.Eventually(t, "it is held back", func() bool { return polling().Failure == "held_back" })
	if left := time.Until(polling().NotBefore); left <= 0 || left > 2*time.Second {
		t.Errorf("it is held back for %v; want 2 s", left)
	}
	l.say("t", session.Pending)
	testkit.Eventually(t, "it goes well again", func() bool { p := polling(); return p.Failures == 0 && p.Failure == "" && p.NotBefore.IsZero() })

	l.say("t", session.Succeeded)
	testkit.Eventually(t, "it is over", func() bool { _, err := l.w.Polling(t.Context(), id); return errors.Is(err, watch.ErrNotFound) })
	if _, err := l.w.Polling(t.Context(), "ses_nothing"); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Polling of nothing = %v", err)
	}
}
