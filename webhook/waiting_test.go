package webhook_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// hanging is a receiver that answers nobody until the test ends, or sooner.
func hanging(t *testing.T) (r *testkit.Receiver, end func()) {
	stop := make(chan struct{})
	r = testkit.NewReceiver(t, func(http.ResponseWriter, testkit.Webhook, int) { <-stop })
	end = sync.OnceFunc(func() { close(stop) })
	t.Cleanup(end)
	return r, end
}

// TestWhatWaitsIsListed before its first attempt, however it is asked for.
func TestWhatWaitsIsListed(t *testing.T) {
	t.Parallel()
	const events = 40
	r, end := hanging(t)
	b := newBridge(t, func(b *bridge) { b.cfg.Timeout = time.Hour }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	for i := range events {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	r.Wait(t, b.cfg.Concurrency)
	for what, f := range map[string]delivery.Filter{"": {}, "by subscription": {Subscription: sub.ID}, "by state": {State: delivery.Waiting}} {
		testkit.Eventually(t, "all are listed "+what, func() bool { return len(b.deliveriesOf(f)) == events })
	}
	last := b.deliveriesOf(delivery.Filter{Session: fmt.Sprintf("ses_%d", events-1), State: delivery.Waiting})
	if len(last) != 1 || len(last[0].Attempts) != 0 || last[0].Created.IsZero() {
		t.Fatalf("of the last session: %+v", last)
	}
	if d, err := b.Delivery(t.Context(), last[0].ID); err != nil || d.ID != last[0].ID || d.State != delivery.Waiting {
		t.Errorf("Delivery = %+v, %v", d, err)
	}
	if st := b.stats(); st.BacklogNow != events {
		t.Errorf("%d wait; want %d", st.BacklogNow, events)
	}
	end()
	testkit.Eventually(t, "all are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{State: delivery.Delivered})) == events
	})
	b.idle()
	if n := r.Count(); n != events {
		t.Errorf("%d webhooks; want %d", n, events)
	}
}

// TestBacklogTellsOfWhatIsNotFannedOut: from the moment an event is recorded.
func TestBacklogTellsOfWhatIsNotFannedOut(t *testing.T) {
	t.Parallel()
	const many, events = 60, 16
	r, end := hanging(t)
	b := newBridge(t, func(b *bridge) { b.cfg.Timeout = time.Hour }, r)
	for range many {
		b.subscribe(webhook.NewSubscription{URL: r.URL})
	}
	for i := range events {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
		if st := b.stats(); st.BacklogNow < i+1 {
			t.Fatalf("after %d events the backlog is %d", i+1, st.BacklogNow)
		}
	}
	testkit.Eventually(t, "each for each is in the backlog", func() bool { return b.metric("pollbridge_delivery_backlog", "") == many*events })
	end()
	b.idle()
	if n := b.metric("pollbridge_deliveries_total", "delivered"); n != many*events {
		t.Errorf("%v are delivered; want %d", n, many*events)
	}
}

// TestASlowOneDoesNotHoldUpTheLog: what a receiver does not take soon waits in the queue, also
// after a restart.
func TestASlowOneDoesNotHoldUpTheLog(t *testing.T) {
	t.Parallel()
	r, _ := hanging(t)
	b := newBridge(t, func(b *bridge) { b.cfg.Timeout = time.Hour }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	const events = 30
	for i := range events {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	r.Wait(t, b.cfg.Concurrency)
	testkit.Eventually(t, "all are listed", func() bool { return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID})) == events })
	b.reopen() // what was under way is cut, and begins again
	r.Wait(t, 2*b.cfg.Concurrency)
	r.Set(nil)
	b.reopen()
	testkit.Eventually(t, "all are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered})) == events
	})
	b.idle()
}

// TestDeletedWhileItIsToldOf: nothing is left behind, whenever the subscription goes, and
// the lists, the gauge and the backlog say the same.
func TestDeletedWhileItIsToldOf(t *testing.T) {
	t.Parallel()
	const races = 160
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{time.Hour} }, r)
	var both sync.WaitGroup
	for i := range races {
		sub := b.subscribe(webhook.NewSubscription{URL: r.URL, Session: fmt.Sprintf("ses_%d", i)})
		both.Go(func() {
			if _, err := b.Changed(t.Context(), change(fmt.Sprintf("ses_%d", i), session.Succeeded)); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			time.Sleep(time.Duration(i%20) * time.Millisecond) // in all its stages
			if err := b.Delete(t.Context(), sub.ID); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	b.idle()
	all, dead := b.deliveriesOf(delivery.Filter{}), b.deliveriesOf(delivery.Filter{State: delivery.Dead})
	if len(all) != len(dead) {
		t.Errorf("%d deliveries, %d of them dead", len(all), len(dead))
	}
	for _, d := range all {
		if d.State != delivery.Dead || d.Reason == "" {
			t.Errorf("%+v", d)
		}
	}
	testkit.Eventually(t, "the gauge says the same", func() bool { return b.metric("pollbridge_deliveries_dead", "") == float64(len(all)) })
}

// TestDeletedWhileItArrives: what the receiver took is delivered, though the subscription
// was deleted during the attempt.
func TestDeletedWhileItArrives(t *testing.T) {
	t.Parallel()
	deleted := make(chan struct{})
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
		if n == 1 {
			w.WriteHeader(500) // so that its record waits
			return
		}
		<-deleted
	})
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 2)
	testkit.NoError(t, b.Delete(t.Context(), sub.ID))
	b.ended(sub, delivery.Dead)
	close(deleted)
	if d := b.ended(sub, delivery.Delivered); len(d.Attempts) != 2 || d.Reason != "" {
		t.Errorf("%+v; want both attempts", d)
	}
	b.idle()
	if dead := b.deliveriesOf(delivery.Filter{State: delivery.Dead}); len(dead) != 0 {
		t.Errorf("%d are listed as dead", len(dead))
	}
	testkit.Eventually(t, "none is counted as dead", func() bool { return b.metric("pollbridge_deliveries_dead", "") == 0 })
}

// TestOnePathHangsAndAnotherDoesNot: sessions attached to a path that hangs do not hold up
// the first attempt at another path of that host.
func TestOnePathHangsAndAnotherDoesNot(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Header.Get("X-Hangs") != "" {
			<-stop
		}
	})
	t.Cleanup(func() { close(stop) }) // before the receiver closes, which waits for it
	b := newBridge(t, func(b *bridge) { b.cfg.Timeout = time.Hour }, r)
	for i := range 16 {
		id := fmt.Sprintf("ses_%d", i)
		b.attach(id, webhook.AttachOptions{URL: r.URL + "/hang", Headers: map[string]string{"X-Hangs": "1"}})
		b.changed(change(id, session.Succeeded))
	}
	r.Wait(t, b.cfg.Concurrency)
	sub := b.attach("ses_ok", webhook.AttachOptions{URL: r.URL + "/ok"})
	b.changed(change("ses_ok", session.Succeeded))
	b.ended(sub, delivery.Delivered)
}

// TestErasedWhileItWaits: nothing is left in the backlog of what was erased.
func TestErasedWhileItWaits(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{time.Hour} }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Waiting)
	testkit.Eventually(t, "it waits for its retry", func() bool { return b.stats().BacklogLater == 1 })
	testkit.NoError(t, b.EraseSession(t.Context(), "ses_a"))
	b.idle()
}
