package webhook_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestStoreIsGone: nobody is told that something was done which was not, and what only
// memory is asked for is still there.
func TestStoreIsGone(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	ctx := t.Context()
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	bound, err := b.Attach(ctx, subjectOf("ses_a"), webhook.AttachOptions{URL: r.URL})
	if err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_b", session.Succeeded))
	d := b.ended(sub, delivery.Delivered)
	if known, err := b.Knows(ctx, "ses_b"); err != nil || !known {
		t.Errorf("Knows = %v, %v", known, err)
	}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Create": func() error { _, err := b.Create(ctx, webhook.NewSubscription{URL: r.URL}); return err },
		"Update": func() error {
			_, err := b.Update(ctx, sub.ID, webhook.SubscriptionPatch{Description: new("x")})
			return err
		},
		"RotateSecret": func() error { _, err := b.RotateSecret(ctx, sub.ID); return err },
		"Delete":       func() error { return b.Delete(ctx, sub.ID) },
		"Test":         func() error { _, err := b.Test(ctx, sub.ID); return err },
		"Attach": func() error {
			_, err := b.Attach(ctx, subjectOf("ses_c"), webhook.AttachOptions{URL: r.URL})
			return err
		},
		"EraseSession": func() error { return b.EraseSession(ctx, "ses_b") },
		"erase bound":  func() error { return b.EraseSession(ctx, "ses_a") },
		"Changed":      func() error { _, err := b.Changed(ctx, change("ses_a", session.Pending)); return err },
		"a repeat":     func() error { _, err := b.Changed(ctx, change("ses_b", session.Succeeded)); return err },
		"Knows":        func() error { _, err := b.Knows(ctx, "ses_b"); return err },
		"Events":       func() error { _, _, err := b.Events(ctx, "", 10, 0); return err },
		"NewestEvent":  func() error { _, err := b.NewestEvent(ctx); return err },
		"Deliveries": func() error {
			_, _, err := b.Deliveries(ctx, delivery.Filter{}, "", 10)
			return err
		},
		"dead deliveries": func() error {
			_, _, err := b.Deliveries(ctx, delivery.Filter{State: delivery.Dead}, "", 10)
			return err
		},
		"Delivery":  func() error { _, err := b.Delivery(ctx, d.ID); return err },
		"Redeliver": func() error { _, err := b.Redeliver(ctx, d.ID); return err },
		"Recover":   func() error { _, _, err := b.Recover(ctx, sub.ID, time.Time{}, ""); return err },
		"Stats":     func() error { _, err := b.Stats(ctx); return err },
	} {
		if err := call(); err == nil || errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("%s = %v; want the error of the store", name, err)
		}
	}
	for _, id := range []string{sub.ID, bound.ID} {
		if got, err := b.Get(ctx, id); err != nil || !got.Enabled || got.Description != "" {
			t.Errorf("Get = %+v, %v", got, err)
		}
	}
	if !b.Wanted(subjectOf("ses_c")) {
		t.Error("nothing is wanted any more")
	}
	if _, err := webhook.New(ctx, b.cfg, webhook.Options{Store: b.store.Store, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}); err == nil {
		t.Error("New returns a service without a store")
	}
	b.Close(someGrace)
	if err := b.Start(); err == nil {
		t.Error("a closed service was started")
	}
	b.Service = nil // so that the store is not closed again
}

// TestUnreadableRecords: what cannot be read is named, and stops nothing.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	b := newBridge(t, nil, r)
	ctx := t.Context()
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	for _, name := range []string{"subscriptions", "deliveries"} {
		bucket, err := b.store.Bucket(ctx, store.BucketConfig{Name: name, MaxAge: b.options.History})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Put(ctx, "sub_x.ses_x.dlv_x", []byte("{"), 0); err != nil {
			t.Fatal(err)
		}
	}
	journal, err := b.store.Journal(ctx, store.JournalConfig{Name: "events", MaxAge: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Append(ctx, "ses_x", []byte("{"), 0); err != nil {
		t.Fatal(err)
	}
	queue, err := b.store.Queue(ctx, store.QueueConfig{Name: "deliveries", AckWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := queue.Add(ctx, sub.ID, "dlv_x", []byte("{")); err != nil {
		t.Fatal(err)
	}
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Delivered)
	if all := b.deliveriesOf(delivery.Filter{}); len(all) != 1 {
		t.Errorf("%d deliveries are listed; want the one that can be read", len(all))
	}
	if events, _, err := b.Events(ctx, "", 10, 0); err != nil || len(events) != 1 {
		t.Errorf("Events = %d, %v; want the one that can be read", len(events), err)
	}
	if _, err := b.Changed(ctx, change("ses_x", session.Succeeded)); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Changed = %v; want what is damaged", err)
	}
	testkit.Eventually(t, "nothing waits", func() bool { return b.metric("pollbridge_delivery_backlog", "") == 0 })
	for _, what := range []string{"event", "event, it is not delivered", "subscription", "delivery", "item of the delivery queue"} {
		testkit.Eventually(t, "an unreadable "+what+" is named", func() bool {
			return strings.Contains(b.log.String(), `"skipping an unreadable `+what+`"`)
		})
	}
}
