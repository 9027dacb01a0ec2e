package webhook_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// fails lets a subscription fail once, which has no retries.
func (b *bridge) fails(sub webhook.Subscription) {
	b.t.Helper()
	waiting := func() int {
		st, err := b.Stats(b.t.Context())
		testkit.NoError(b.t, err)
		return st.BacklogNow
	}
	n, others := len(b.deliveriesOf(delivery.Filter{State: delivery.Dead})), waiting()
	b.changed(change(fmt.Sprintf("ses_%d", time.Now().UnixNano()), session.Succeeded))
	testkit.Eventually(b.t, "one more is dead, and what that means for the subscription is noted", func() bool {
		return len(b.deliveriesOf(delivery.Filter{State: delivery.Dead})) == n+1 && waiting() <= others
	})
}

func (b *bridge) age(sub webhook.Subscription, by time.Duration) {
	b.t.Helper()
	if err := b.Age(b.t.Context(), sub.ID, by); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bridge) seen(sub webhook.Subscription) webhook.Subscription {
	b.t.Helper()
	sub, err := b.Get(b.t.Context(), sub.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return sub
}

// TestQuietTimeIsNotFailing: days without an attempt say nothing about a receiver.
func TestQuietTimeIsNotFailing(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = nil }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	for week := range 3 {
		b.fails(sub)
		b.fails(sub)
		b.age(sub, 2*time.Minute)
		b.fails(sub) // durable from here on
		if got := b.seen(sub); !got.Enabled || time.Since(got.FailingSince) > time.Hour {
			t.Errorf("week %d: %+v; want it to fail since a moment ago", week, got)
		}
		if week == 1 {
			b.reopen()
		}
		b.age(sub, 6*24*time.Hour)
	}
	if n := b.metric("pollbridge_events_total", event.TypeFailing) + b.metric("pollbridge_events_total", event.TypeDisabled); n != 0 {
		t.Errorf("%v operational events; want none", n)
	}
}

// TestWarningComesFirst: and half of the time is left then.
func TestWarningComesFirst(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = nil }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	warnings, warned := 0.0, 0
	for hours := 0; ; hours += 26 { // as the longest of the retries
		b.fails(sub)
		if hours == 104 { // after the warning
			b.reopen()
			warnings = 1
		}
		if warned == 0 && b.metric("pollbridge_events_total", event.TypeFailing) == 1 {
			warned = hours
		}
		if got := b.seen(sub); !got.Enabled {
			if warned < 60 || hours < warned+60 || hours > warned+60+26 || got.DisabledReason != webhook.DisabledFailing {
				t.Errorf("warned after %d hours, disabled after %d: %s", warned, hours, got.DisabledReason)
			}
			break
		}
		if hours > 300 {
			t.Fatal("it is never disabled")
		}
		b.age(sub, 26*time.Hour)
	}
	if n := warnings + b.metric("pollbridge_events_total", event.TypeFailing); n != 1 {
		t.Errorf("%v warnings; want 1", n)
	}
}

// TestASlowSuccessIsSeen: other attempts fail while it is under way, and that is noted.
func TestASlowSuccessIsSeen(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Data["session"] == "ses_slow" {
			<-slow
			return
		}
		w.WriteHeader(500)
	})
	b := newBridge(t, func(b *bridge) { b.cfg.Retries, b.cfg.Timeout = nil, time.Minute }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	b.changed(change("ses_slow", session.Succeeded))
	r.Wait(t, 1)
	b.fails(sub)
	b.age(sub, 2*time.Minute)
	b.fails(sub)
	if b.seen(sub).FailingSince.IsZero() {
		t.Error("it does not fail")
	}
	close(slow)
	testkit.Eventually(t, "it works", func() bool { return b.seen(sub).FailingSince.IsZero() })
	b.ended(sub, delivery.Delivered)
	b.reopen()
	if since := b.seen(sub).FailingSince; !since.IsZero() {
		t.Errorf("after a restart it fails since %v", since)
	}
}
