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

// TestErasedAndThereAgain: what was erased is silent, and the same session registered
// again is like a new one, but for the ids.
func TestErasedAndThereAgain(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	for round := range 3 {
		if _, err := b.Attach(t.Context(), subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL + "/bound"}); err != nil {
			t.Fatal(err)
		}
		for i, state := range []session.State{session.Pending, session.Succeeded} {
			if !b.changed(change("ses_a", state)) {
				t.Errorf("round %d: %s was not published", round, state)
			}
			testkit.Eventually(t, "it is delivered to both, and listed", func() bool {
				return len(b.deliveriesOf(delivery.Filter{Session: "ses_a", State: delivery.Delivered})) == 2*(i+1)
			})
		}
		all := r.Wait(t, 4*(round+1))
		if all[0].ID() != all[4*round].ID() || all[4*round].Data["sequence"] != 1.0 {
			t.Errorf("round %d begins with %s, %s; want the id %s", round, all[4*round].ID(), all[4*round].Body, all[0].ID())
		}
		if round == 1 {
			b.reopen()
		}
		if err := b.EraseSession(t.Context(), "ses_a"); err != nil {
			t.Fatal(err)
		}
		if left := b.deliveriesOf(delivery.Filter{Session: "ses_a"}); len(left) != 0 {
			t.Errorf("round %d: left: %+v", round, left)
		}
	}
	b.changed(change("ses_b", session.Succeeded))
	r.Wait(t, 13)
	testkit.Eventually(t, "nothing waits", func() bool { return b.metric("pollbridge_delivery_backlog", "") == 0 })
	if n := r.Count(); n != 13 {
		t.Errorf("%d webhooks; want 13", n)
	}
	if _, err := b.Get(t.Context(), sub.ID); err != nil {
		t.Error(err)
	}
}

// TestErasedDuringAnAttemptAndThereAgain: an attempt that began before ends after, and
// a retry of what was erased comes due.
func TestErasedDuringAnAttemptAndThereAgain(t *testing.T) {
	t.Parallel()
	there := make(chan struct{})
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
		if n == 1 {
			<-there
			w.WriteHeader(500)
			fmt.Fprint(w, "their first answer")
			return
		}
		w.WriteHeader(500)
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{50 * time.Millisecond} }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_a", session.Succeeded))
	r.Wait(t, 1)
	if err := b.EraseSession(t.Context(), "ses_a"); err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_a", session.Succeeded))
	close(there)
	d := b.ended(sub, delivery.Dead)
	testkit.Eventually(t, "nothing waits", func() bool { return b.metric("pollbridge_delivery_backlog", "") == 0 })
	if d = b.ended(sub, delivery.Dead); len(d.Attempts) != 2 || d.Attempts[0].Answer != "" || d.Reason != "no retries left" {
		t.Errorf("%+v; want the two attempts after it was erased", d)
	}
	if n := r.Count(); n != 3 {
		t.Errorf("%d webhooks; want 3", n)
	}
}

// TestErasedWhileItBegins: what is recorded of a session at that moment is either erased
// too, or delivered and listed.
func TestErasedWhileItBegins(t *testing.T) {
	t.Parallel()
	const sessions = 300
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	b.subscribe(webhook.NewSubscription{URL: r.URL})
	var both sync.WaitGroup
	for i := range sessions {
		id := fmt.Sprintf("ses_%d", i)
		b.changed(change(id, session.Pending))
		both.Go(func() {
			if err := b.EraseSession(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if _, err := b.Changed(t.Context(), change(id, session.Succeeded)); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	left, _, err := b.Events(t.Context(), "", 2*sessions, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		testkit.Eventually(t, e.Type+" of "+e.Subject+" is delivered", func() bool {
			return len(b.deliveriesOf(delivery.Filter{Session: e.Subject, State: delivery.Delivered})) == 1
		})
	}
	testkit.Eventually(t, "the deliveries of the events that are left are listed, and no others", func() bool {
		return len(b.deliveriesOf(delivery.Filter{})) == len(left)
	})
}
