package webhook_test

import (
	"errors"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
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
	d := b.ended(sub, webhook.StateDelivered)
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
			_, _, err := b.Deliveries(ctx, webhook.DeliveryFilter{}, "", 10)
			return err
		},
		"dead deliveries": func() error {
			_, _, err := b.Deliveries(ctx, webhook.DeliveryFilter{State: webhook.StateDead}, "", 10)
			return err
		},
		"Delivery":  func() error { _, err := b.Delivery(ctx, d.ID); return err },
		"Redeliver": func() error { _, err := b.Redeliver(ctx, d.ID); return err },
		"Recover":   func() error { _, err := b.Recover(ctx, sub.ID, time.Time{}); return err },
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
	b.Close()
	b.Service = nil // so that the store is not closed again
}
