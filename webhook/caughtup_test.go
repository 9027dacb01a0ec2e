package webhook_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/webhook"
)

// TestCaughtUp: that counts for a second, and not beyond anything that happens to the session.
func TestCaughtUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := webhook.NewCaughtUp(func() time.Time { return now })
	want := func(when, id string, want bool) {
		t.Helper()
		if got := c.Has("ses_a", id); got != want {
			t.Errorf("%s: %s is caught up: %v; want %v", when, id, got, want)
		}
	}
	want("at first", "sub_a", false)
	done := c.Begin("ses_a", "sub_a")
	want("before it is over", "sub_a", false)
	now = now.Add(500 * time.Millisecond)
	done()
	want("after that", "sub_a", true)
	want("after that", "sub_b", false)
	now = now.Add(500 * time.Millisecond)
	want("a second after it began", "sub_a", false)

	done = c.Begin("ses_a", "sub_a")
	c.Begin("ses_a", "sub_b")()
	c.Forget("ses_a")
	done()
	want("after an end", "sub_a", false)
	want("after an end", "sub_b", false)
	if n := c.Known(); n != 0 {
		t.Errorf("%d are remembered; want none", n)
	}
	most := 0
	for i := range 50_000 {
		c.Begin(fmt.Sprintf("ses_%d", i), "sub_a")()
		most = max(most, c.Known())
	}
	if most > 16384 {
		t.Errorf("%d are remembered", most)
	}
}

// TestAttachedAgainAtOnce: what a poll names as the one a moment ago did needs no store, until
// the session ends.
func TestAttachedAgainAtOnce(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	o := webhook.AttachOptions{URL: r.URL}
	without, cancel := context.WithCancel(t.Context())
	cancel() // so that the store is of no help
	again := func(o webhook.AttachOptions) bool {
		_, err := b.Attach(without, subjectOf("ses_a"), o)
		return err == nil
	}
	if again(o) {
		t.Error("it was attached without the store")
	}
	testkit.Eventually(t, "attached again at once", func() bool { // within that second
		b.attach("ses_a", o)
		return again(o)
	})
	if other := (webhook.AttachOptions{URL: o.URL, IncludeFile: true}); again(other) {
		t.Error("it was attached differently without the store")
	}
	for _, published := range []bool{true, false} { // a repeat is an end, too
		b.attach("ses_a", o)
		if got := b.changed(abandoned("ses_a")); got != published {
			t.Errorf("published: %v; want %v", got, published)
		}
		if again(o) {
			t.Error("it was attached without a look at the end of the session")
		}
	}
}
