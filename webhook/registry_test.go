package webhook_test

import (
	"testing"

	"pollbridge/webhook"
)

// TestRegistryForgetsWhatIsGone: whatever is told first, a subscription that was deleted is
// not there, and nothing is remembered of it.
func TestRegistryForgetsWhatIsGone(t *testing.T) {
	t.Parallel()
	const id = "sub_a"
	for name, tell := range map[string]func(webhook.Registry){
		"the watch tells last": func(r webhook.Registry) {
			r.Puts(id, 1)
			r.Removes(id, 1, false)
			r.Puts(id, 1) // also what the watch told of late
			r.Removes(id, 2, true)
		},
		"the watch tells first": func(r webhook.Registry) {
			r.Puts(id, 1)
			r.Removes(id, 2, true)
			r.Removes(id, 1, false)
		},
		"a writer is late": func(r webhook.Registry) {
			r.Puts(id, 1)
			over := r.Writes(id) // of revision 2
			r.Removes(id, 2, false)
			r.Removes(id, 3, true)
			r.Puts(id, 2)
			over()
		},
		"a writer is late, and the watch tells first": func(r webhook.Registry) {
			r.Puts(id, 1)
			over, other := r.Writes(id), r.Writes(id) // of revisions 2 and 3
			r.Removes(id, 4, true)
			r.Removes(id, 3, false)
			r.Puts(id, 2)
			over()
			r.Puts(id, 3)
			other()
		},
		"the watch tells when a writer is done": func(r webhook.Registry) {
			r.Puts(id, 1)
			over := r.Writes(id)
			r.Removes(id, 2, false)
			r.Puts(id, 2)
			over()
			r.Removes(id, 3, true)
		},
		"it was there again, and only that was told": func(r webhook.Registry) {
			r.Puts(id, 1)
			r.Removes(id, 1, false)
			r.Puts(id, 3)
			r.Removes(id, 4, true)
		},
	} {
		r := webhook.NewRegistry()
		tell(r)
		if all, gone := r.Known(); all != 0 || gone != 0 {
			t.Errorf("%s: %d subscriptions are there, %d are remembered; want none", name, all, gone)
		}
	}
	r := webhook.NewRegistry()
	r.Puts(id, 1)
	r.Removes(id, 1, false)
	r.Puts(id, 3)
	r.Removes(id, 2, true) // late
	if all, gone := r.Known(); all != 1 || gone != 0 {
		t.Errorf("made again: %d subscriptions are there, %d are remembered; want 1, 0", all, gone)
	}
}
