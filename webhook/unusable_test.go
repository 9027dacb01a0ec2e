package webhook_test

import (
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestAttemptsWhileTheStoreIsUnusable: what came of those under way is written later, and
// none is made again for that; no other one begins.
func TestAttemptsWhileTheStoreIsUnusable(t *testing.T) {
	t.Parallel()
	var opened atomic.Pointer[store.Store]
	var early atomic.Int64
	answer := make(chan struct{})
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, n int) {
		if n > 2 {
			if opened.Load().Err() != nil {
				early.Add(1)
			}
			return
		}
		<-answer
		if got.Data["session"] == "ses_fails" {
			w.WriteHeader(500)
		}
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Concurrency, b.cfg.Timeout = 2, time.Minute }, r)
	opened.Store(b.store.Store)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	want := map[string]int{"ses_works": 1, "ses_fails": 2, "ses_waits": 1} // attempts
	b.changed(change("ses_works", session.Succeeded))
	b.changed(change("ses_fails", session.Succeeded))
	r.Wait(t, 2)
	b.changed(change("ses_waits", session.Succeeded))

	engine, elsewhere := filepath.Join(b.dir, "engine"), filepath.Join(b.dir, "elsewhere")
	if err := os.Rename(engine, elsewhere); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is noticed", func() bool { return b.store.Err() != nil })
	close(answer)
	testkit.Eventually(t, "the attempts are over", func() bool { return b.stats().AttemptsUnderWay == 0 })
	if err := os.Rename(elsewhere, engine); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it can be used again", func() bool { return b.store.Err() == nil })
	testkit.Eventually(t, "all are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered})) == len(want)
	})
	for _, d := range b.deliveriesOf(delivery.Filter{Subscription: sub.ID}) {
		if len(d.Attempts) != want[d.Session] {
			t.Errorf("%d attempts of %s are noted; want %d", len(d.Attempts), d.Session, want[d.Session])
		}
	}
	if n := r.Count(); n != 4 || early.Load() != 0 {
		t.Errorf("%d webhooks, %d of them while the store was unusable; want 4, 0", n, early.Load())
	}
}
