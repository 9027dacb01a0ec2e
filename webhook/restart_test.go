package webhook_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestRestartWithUndeliveredWork: what was recorded, queued, under way or waiting for
// a retry arrives after a restart.
func TestRestartWithUndeliveredWork(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) {
		for range 10 {
			b.cfg.Retries = append(b.cfg.Retries, 300*time.Millisecond)
		}
	}, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	const events = 60
	for i := range events / 2 {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	r.Wait(t, 15)
	b.close()
	b.prepare() // recorded, but not fanned out
	for i := range events / 2 {
		b.changed(change(fmt.Sprintf("ses_%d", events/2+i), session.Succeeded))
	}
	b.close()
	r.Set(nil)
	b.open()
	testkit.Eventually(t, "all are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered})) == events
	})
	testkit.Eventually(t, "nothing is left", func() bool { return b.metric("pollbridge_delivery_backlog", "") == 0 })
	n := r.Count()
	b.reopen()
	b.changed(change("ses_last", session.Succeeded))
	r.Wait(t, n+1)
	if got := r.Count(); got != n+1 {
		t.Errorf("%d webhooks after another restart; want the new one only", got-n)
	}
}

// TestCloseDuringAttempts: attempts under way are cut, given back, and not counted.
func TestCloseDuringAttempts(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, _ testkit.Webhook, n int) {
		if n == 1 {
			<-stop
		}
	})
	t.Cleanup(func() { close(stop) })
	b := newBridge(t, func(b *bridge) { b.cfg.Timeout = time.Minute }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 1)
	start := time.Now()
	b.close()
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("Close took %v", took)
	}
	b.open()
	if d := b.ended(sub, delivery.Delivered); len(d.Attempts) != 1 {
		t.Errorf("%d attempts; want the one that was not cut", len(d.Attempts))
	}
}

// TestConsumersClose: a subscription that has nothing to do costs nothing, and is there
// when there is something.
func TestConsumersClose(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) { b.options.SetIdle(50 * time.Millisecond) }, r)
	for i := range 3 {
		b.subscribe(webhook.NewSubscription{URL: fmt.Sprintf("%s/%d", r.URL, i)})
	}
	for round := range 3 {
		b.changed(change(fmt.Sprintf("ses_%d", round), session.Succeeded))
		r.Wait(t, 3*(round+1))
		testkit.Eventually(t, "there is no consumer", func() bool { return b.stats().Consumers == 0 })
	}
}

// TestItemsThatComeBack: a crash came after what happened was noted, and before the
// item was done.
func TestItemsThatComeBack(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Data["session"] == "ses_waiting" {
			w.WriteHeader(500)
		}
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{time.Hour} }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_delivered", session.Succeeded))
	b.changed(change("ses_waiting", session.Succeeded))
	ended := []delivery.Delivery{b.ended(sub, delivery.Delivered), b.ended(sub, delivery.Waiting)}
	b.reopen()
	for _, d := range ended {
		b.comeBack(d)
	}
	testkit.Eventually(t, "the items are put away again", func() bool {
		st, err := b.Stats(t.Context())
		return err == nil && st.BacklogNow == 0 && st.BacklogLater == 2 // with the one that came back
	})
	if n := r.Count(); n != 2 {
		t.Errorf("%d webhooks; want 2: one was delivered, the other waits for its time", n)
	}
	if d := b.ended(sub, delivery.Waiting); len(d.Attempts) != 1 {
		t.Errorf("%d attempts; want 1", len(d.Attempts))
	}
}
