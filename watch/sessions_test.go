package watch_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

func TestGetKnowsNoOthers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, id := range []string{"", "ses_none", "a.b", ">", "*", strings.Repeat("a", 300), "ses_\x00", "ses_ą"} {
		if _, err := l.w.Get(t.Context(), id); !errors.Is(err, watch.ErrNotFound) {
			t.Errorf("Get(%q) = %v; want ErrNotFound", id, err)
		}
		if err := l.w.Delete(t.Context(), id); !errors.Is(err, watch.ErrNotFound) {
			t.Errorf("Delete(%q) = %v; want ErrNotFound", id, err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	var want []string
	for i := range 10 {
		v := l.variant(fmt.Sprint("tok", i))
		state := session.Pending
		if i%3 == 0 {
			state = session.Succeeded
		}
		l.w.Observe(v, observation(state))
		want = append(want, l.w.Subject(v).Session)
	}
	testkit.Eventually(t, "those that have ended to be stored", func() bool { return l.w.Live() == 6 })
	list := func(status string, limit int) (ids []string) {
		t.Helper()
		for before, first := uint64(0), true; first || before != 0; first = false {
			page, next, err := l.w.List(t.Context(), status, before, limit)
			testkit.NoError(t, err)
			if len(page) > limit {
				t.Fatalf("a page has %d sessions, want no more than %d", len(page), limit)
			}
			for _, s := range page {
				ids = append(ids, s.ID)
				if status != "" && s.Status() != status {
					t.Errorf("%s is %s, want %s", s.ID, s.Status(), status)
				}
			}
			before = next
		}
		return ids
	}
	slices.Sort(want)
	for _, limit := range []int{1, 3, 10, 100} {
		if got := list("", limit); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%d at a time: %v, want %v in some order", limit, got, want)
		}
		if got := list("succeeded", limit); len(got) != 4 {
			t.Errorf("%d at a time: %d succeeded, want 4", limit, len(got))
		}
		if got := list("abandoned", limit); len(got) != 0 {
			t.Errorf("%d were abandoned", len(got))
		}
	}
}

func TestDeleteErases(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.say("tok", session.Pending)
	s := l.watch("tok")
	l.next(event.TypePending)
	testkit.NoError(t, l.w.Delete(t.Context(), s.ID))
	if _, err := l.w.Get(t.Context(), s.ID); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Get = %v; want ErrNotFound", err)
	}
	if !l.finals.forgotten[s.ID] || !l.events.erased[s.ID] {
		t.Error("its answers or its events are kept")
	}
	l.mu.Lock()
	if len(l.erased) != 2 || l.erased[0] != "tok" {
		t.Errorf("memory was told to forget %q; want tok", l.erased)
	}
	l.mu.Unlock()
	testkit.Eventually(t, "the end of its watch", func() bool { return l.w.Live() == 0 && l.watched() == 0 })
	if page, _, err := l.w.List(t.Context(), "", 0, 10); len(page) > 0 || err != nil {
		t.Errorf("List = %v, %v", page, err)
	}

	// Registered again a moment later, it is watched, also after a restart.
	l.watch("tok")
	l.next(event.TypePending)
	l.restart()
	l.say("tok", session.Refused)
	l.next(event.TypeRefused)
	l.awaitEnd(s.ID, "refused")
	testkit.NoError(t, l.w.Delete(t.Context(), s.ID))
	if _, err := l.w.Get(t.Context(), s.ID); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Get = %v; want ErrNotFound", err)
	}
}

// TestDeleteErasesWhatIsLeft: events are kept longer than the session.
func TestDeleteErasesWhatIsLeft(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	testkit.NoError(t, l.w.Delete(t.Context(), "ses_left"))
	if !l.events.erased["ses_left"] {
		t.Error("its events are kept")
	}
	if err := l.w.Delete(t.Context(), "ses_unknown"); !errors.Is(err, watch.ErrNotFound) || l.events.erased["ses_unknown"] {
		t.Errorf("Delete of nothing = %v; want ErrNotFound", err)
	}
}

// TestRecordsThatCannotBeRead make way for what is seen of their sessions.
func TestRecordsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, token := range []string{"observed", "registered"} {
		_, err := l.store.Engine.Conn().Request("TABLE_sessions."+l.id(token), []byte("nobody has sealed this"), testkit.Timeout)
		testkit.NoError(t, err)
	}
	l.say("registered", session.Succeeded)
	l.watch("registered")
	l.next(event.TypeSucceeded)
	l.awaitEnd(l.id("registered"), "succeeded")
	l.events.want(true)
	l.w.Observe(l.variant("observed"), observation(session.Refused))
	l.next(event.TypeRefused)
	l.awaitEnd(l.id("observed"), "refused")
	if !strings.Contains(l.log.String(), "session record cannot be read") {
		t.Error("the log says nothing of them")
	}
}
