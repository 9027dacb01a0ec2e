package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestBeforeOneThatHangs: one that gave no sign of life is not asked about the slot that was taken from it for
// that, but about those that it gave back.
func TestBeforeOneThatHangs(t *testing.T) {
	now := time.Now()
	ids := map[int]string{}
	for i := 0; len(ids) < 2; i++ {
		id := fmt.Sprint("ses_", i)
		ids[SlotOf(id)] = id
	}
	f := &Fleet{id: "here", timing: usual, newest: now, held: map[int]*holding{}, peers: map[string]*peer{"before": {at: now, heard: now, hangs: true}}}
	hung := "before"
	for slot, id := range ids {
		f.held[slot] = &holding{since: now, before: []string{"before"}, hung: hung}
		_, asked := f.before(id)
		if wanted := hung == ""; slices.Contains(asked, "before") != wanted {
			t.Errorf("%v are asked about a slot that was taken from %q", asked, hung)
		}
		hung = ""
	}
}
