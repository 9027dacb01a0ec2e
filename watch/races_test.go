package watch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

// TestOverWhenFirstSeen: such a session can be read, listed and erased as soon as its event is
// there, before its record is.
func TestOverWhenFirstSeen(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.events.want(true)
	l.w.Observe(l.variant("tok"), observation(session.Succeeded))
	l.next(event.TypeSucceeded)
	id := l.id("tok")
	if s, err := l.w.Get(t.Context(), id); err != nil || s.Status() != "succeeded" {
		t.Errorf("Get = %+v, %v", s, err)
	}
	page, _, err := l.w.List(t.Context(), "succeeded", 0, 10)
	if err != nil || len(page) != 1 || page[0].ID != id {
		t.Errorf("List = %+v, %v", page, err)
	}
	testkit.NoError(t, l.w.Delete(t.Context(), id))
	if !l.finals.forgotten[id] || len(l.erased) != 2 {
		t.Error("its answers are kept, in the store or in memory")
	}
	if _, err := l.w.Get(t.Context(), id); !errors.Is(err, watch.ErrNotFound) || l.w.Live() != 0 {
		t.Errorf("Get = %v after it was erased, %d are live", err, l.w.Live())
	}
}

// TestRegisteredWhileErased: whoever registers a session that is being erased waits, and then
// it is watched like any other.
func TestRegisteredWhileErased(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.say("tok", session.Pending)
	id := l.id("tok")
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Timeout)
	defer cancel()
	for range 50 {
		var erasing sync.WaitGroup
		for range 4 {
			erasing.Go(func() {
				for range 5 {
					l.w.Delete(ctx, id)
				}
			})
		}
		_, err := l.w.Watch(ctx, l.variant("tok"))
		erasing.Wait()
		if err != nil {
			t.Fatalf("Watch = %v", err)
		}
		if err := l.w.Delete(ctx, id); err != nil && !errors.Is(err, watch.ErrNotFound) {
			t.Fatalf("Delete = %v", err)
		}
		if n := l.w.Live(); n != 0 {
			t.Fatalf("%d are live after it was erased", n)
		}
	}
	l.events.drain()
	l.watch("tok")
	l.say("tok", session.Refused)
	l.w.Observe(l.variant("tok"), observation(session.Refused))
	for c := range l.events.came {
		if c.Type == event.TypeRefused {
			break
		}
	}
	l.awaitEnd(id, "refused")
}

// TestErasedWhileTakenUp: who erases a session waits for the watches of before, one of which
// may be its own.
func TestErasedWhileTakenUp(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	first, erased := l.watch("first"), l.watch("erased")
	l.close()
	l.prepare()
	rows, err := l.w.Rows(t.Context())
	testkit.NoError(t, err)
	bounded, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.w.Delete(bounded, erased.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Delete = %v; want to have waited", err)
	}
	l.w.TakeUp(rows)
	deleted := make(chan error, 1)
	go func() { deleted <- l.w.Delete(t.Context(), erased.ID) }()
	testkit.NoError(t, l.w.Start())
	testkit.NoError(t, testkit.Receive(t, "it to be erased", deleted))
	asked := l.questions("erased")
	l.awaitQuestions("first", 3)
	if n := l.questions("erased"); n != asked || l.w.Live() != 1 {
		t.Errorf("it was asked for %d times after it was erased, %d are live", n-asked, l.w.Live())
	}
	if _, err := l.w.Get(t.Context(), first.ID); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

// TestOthersWereQuicker: what was read at the start says less than what happens to a session
// before its watch is taken up.
func TestOthersWereQuicker(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(l *lab) { l.cfg.Interval = time.Hour })
	l.events.want(true)
	for _, token := range []string{"polled", "ended"} {
		l.fail(token)
		l.w.Observe(l.variant(token), waiting(time.Now(), "before"))
		l.next(event.TypePending)
	}
	registered := l.watch("registered")
	l.close()
	l.prepare()
	rows, err := l.w.Rows(t.Context())
	testkit.NoError(t, err)
	l.w.Observe(l.variant("polled"), waiting(time.Now(), "after"))
	l.w.Observe(l.variant("ended"), observation(session.Refused))
	l.next(event.TypeRefused)
	if s := l.watch("registered"); !s.Created.Equal(registered.Created) {
		t.Errorf("it is watched from %v; want %v, as before", s.Created, registered.Created)
	}
	for range 2 { // again as after a failure
		l.w.TakeUp(rows)
	}
	testkit.NoError(t, l.w.Start())
	<-l.w.TakenUp()
	testkit.Eventually(t, "two watches", func() bool { return l.w.Live() == 2 && l.watched() == 2 })
	if s, err := l.w.Get(t.Context(), l.id("ended")); err != nil || s.Status() != "refused" {
		t.Errorf("the one that has ended is %+v, %v", s, err)
	}
	l.quiet()
}
