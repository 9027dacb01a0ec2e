package webhook_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestDeletedAndKilled: whenever the process dies after a subscription was deleted, what waited
// for it is dead after the next start: what was to be tried again, what was under way and what
// stood in line behind that; and what comes later is not for it.
func TestDeletedAndKilled(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
		w.WriteHeader(500)
		if n == 2 {
			<-hang
		}
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries, b.cfg.Concurrency = []time.Duration{time.Hour}, 1 }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_later", session.Succeeded))
	b.ended(sub, delivery.Waiting)
	b.changed(change("ses_under_way", session.Succeeded))
	r.Wait(t, 2)
	b.changed(change("ses_in_line", session.Succeeded))
	testkit.NoError(t, b.MarkDeleted(t.Context(), sub.ID))
	if _, err := b.Get(t.Context(), sub.ID); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("Get = %v; want ErrNotFound", err)
	}
	if err := b.Delete(t.Context(), sub.ID); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("Delete = %v; want ErrNotFound", err)
	}
	b.close()
	close(hang)
	b.open()
	testkit.Eventually(t, "nothing is left of it", func() bool { return !b.HasDeleted() })
	b.idle()
	b.changed(change("ses_after", session.Succeeded))
	b.idle()
	all := b.deliveriesOf(delivery.Filter{Subscription: sub.ID})
	for _, d := range all {
		if d.State != delivery.Dead || d.Reason != "the subscription was deleted" {
			t.Errorf("%+v; want it dead", d)
		}
	}
	if len(all) != 3 || r.Count() != 2 {
		t.Errorf("%d deliveries and %d webhooks; want three of what was before, and two", len(all), r.Count())
	}
	b.reopen()
	if b.HasDeleted() {
		t.Error("it is deleted once more")
	}
}

// TestAttachedAgainWhileItEnds: what is attached anew, when its deletion was already found, has its
// delivery.
func TestAttachedAgainWhileItEnds(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	b.changed(change("ses_a", session.Succeeded))
	b.idle() // it is not handed out any more
	b.close()
	b.prepare() // so that nothing else ends it
	sub := b.attach("ses_a", webhook.AttachOptions{URL: r.URL})
	testkit.NoError(t, b.MarkDeleted(t.Context(), sub.ID))
	testkit.NoError(t, b.EndDeleted(t.Context(), sub.ID, func() { b.attach("ses_a", webhook.AttachOptions{URL: r.URL}) }))
	testkit.NoError(t, b.Start())
	b.ended(sub, delivery.Delivered)
}
