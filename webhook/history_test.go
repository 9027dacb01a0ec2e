package webhook_test

import (
	"fmt"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestForgottenWhileItWaits: an event that is older than what is kept when its turn comes is
// dead, and does not vanish. The one that is being attempted the log has, until it has not.
func TestForgottenWhileItWaits(t *testing.T) {
	t.Parallel()
	const events, waiting = 6, 5
	r, end := hanging(t)
	b := newBridge(t, func(b *bridge) {
		b.cfg.Timeout, b.cfg.Concurrency, b.cfg.Retries = time.Hour, 1, nil
		b.options.History = 10 * time.Second // they are in the queue after four
	}, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	for i := range events {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	testkit.Eventually(t, "the log has forgotten them", func() bool {
		all, _, err := b.Events(t.Context(), "", 100, 0)
		return err == nil && len(all) == 0
	})
	b.close() // memory forgets them, too
	end()
	b.open()
	b.idle()
	if dead := b.metric("pollbridge_deliveries_total", "dead"); dead != waiting {
		t.Errorf("%v dead are counted; want all", dead)
	}
	if d := b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Dead}); len(d) != waiting || d[0].Reason != "the event is no longer stored" {
		t.Errorf("listed as dead: %+v", d)
	}
	if n := b.metric("pollbridge_deliveries_dead", ""); n != waiting {
		t.Errorf("the gauge says %v", n)
	}
}
