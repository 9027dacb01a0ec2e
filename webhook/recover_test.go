package webhook_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestRecoverInParts: more than one call has time for is recovered by several, each once.
func TestRecoverInParts(t *testing.T) {
	t.Parallel()
	const events = 200
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) { b.options.SetRecovering(30 * time.Millisecond) }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL, Disabled: true})
	since := time.Now()
	for i := range events {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	b.idle() // so all were fanned out, to nobody
	_, err := b.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{Enabled: new(true)})
	testkit.NoError(t, err)
	calls, recovered := 0, 0
	for from := ""; calls == 0 || from != ""; calls++ {
		n, next, err := b.Recover(t.Context(), sub.ID, since, from)
		if err != nil || calls > events {
			t.Fatalf("call %d: %v", calls, err)
		}
		recovered, from = recovered+n, next
	}
	if recovered != events || calls < 2 {
		t.Errorf("%d recovered by %d calls; want %d by several", recovered, calls, events)
	}
	testkit.Eventually(t, "all are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered})) == events
	})
	b.idle()
	if n, next, err := b.Recover(t.Context(), sub.ID, since, ""); n != 0 || err != nil || next != "" && n > 0 {
		t.Errorf("again: %d, %q, %v; want none", n, next, err)
	}
	if n := r.Count(); n != events {
		t.Errorf("%d webhooks; want %d", n, events)
	}
	for _, from := range []string{"x", "999999"} {
		_, _, err := b.Recover(t.Context(), sub.ID, since, from)
		if field, ok := errors.AsType[*webhook.FieldError](err); !ok || field.Field != "continue_from" {
			t.Errorf("from %q: %v", from, err)
		}
	}
}
