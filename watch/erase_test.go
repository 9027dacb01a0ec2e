package watch_test

import (
	"testing"

	"pollbridge/internal/testkit"
)

// TestErasedIsNotWatchedAgain after a start.
func TestErasedIsNotWatchedAgain(t *testing.T) {
	t.Parallel()
	l := unopened(t)
	l.open()
	erased, kept := l.watch("erased"), l.watch("kept")
	testkit.NoError(t, l.w.Delete(t.Context(), erased.ID))
	if n := l.watched(); n != 1 {
		t.Errorf("%d are watched after a start; want the other session", n)
	}
	if n := l.w.Live(); n != 1 {
		t.Errorf("%d sessions are watched; want one", n)
	}
	l.restart()
	defer l.close()
	<-l.w.TakenUp()
	if s, err := l.w.Get(t.Context(), kept.ID); err != nil || s.Token != "kept" {
		t.Errorf("the other session is %+v, %v", s, err)
	}
	if n := l.w.Live(); n != 1 {
		t.Errorf("%d sessions are watched after a restart; want one", n)
	}
}
