package webhook

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"pollbridge/event"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/send"
)

// disableAfter is how long attempts must have failed, all of them, for a subscription to
// be disabled; there is a warning at half of it, and as long again after that to do
// something.
const disableAfter = 5 * 24 * time.Hour

// health knows which subscriptions fail, and disables those that do so for too long.
type health struct {
	subs         *subscriptions
	events       *event.Log
	log          *slog.Logger
	deliveries   *delivery.Service
	disableAfter time.Duration
	retries      []time.Duration
}

// quiet is how long there may be no attempt while a subscription counts as failing: a
// delivery that is retried has none for as long as its longest wait. A longer time
// without attempts says nothing about a receiver: after it, failing begins anew.
func (h *health) quiet() time.Duration {
	quiet := h.disableAfter / 3
	for _, wait := range h.retries {
		quiet = max(quiet, wait+wait/2)
	}
	return quiet
}

// failed notes a failed attempt. Should that not work now, the next one will do.
func (h *health) failed(ctx context.Context, id string) {
	sub := h.subs.registry.get(id)                           // it may have changed since the attempt began
	if sub == nil || sub.DisabledReason != "" || sub.Bound { // that ends before long anyway
		return
	}
	now := h.subs.store.Now()
	since, warned := sub.FailingSince, sub.Warned
	if since.IsZero() || now.Sub(sub.FailedLast) > h.quiet() {
		since, warned = now, time.Time{}
	}
	var err error
	switch failing := now.Sub(since); {
	case !warned.IsZero() && failing >= h.disableAfter && now.Sub(warned) >= h.disableAfter/2:
		err = h.disable(ctx, sub, DisabledFailing, episode(since))
	case warned.IsZero() && failing >= h.disableAfter/2:
		if err = h.operational(ctx, sub, event.TypeFailing, episode(since), "", since); err == nil {
			err = h.noteFailing(ctx, sub, since, now, now)
			h.log.Warn("webhook subscription will be disabled if its receiver goes on failing", "subscription", id,
				"host", send.HostOf(sub.URL), "failing_since", since, "disabled_after", h.disableAfter)
		}
	case failing == 0 || now.Sub(sub.FailedLast) >= h.quiet()/8: // else it costs a write and tells hardly more
		err = h.noteFailing(ctx, sub, since, now, warned)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		h.log.Warn("cannot store that a subscription is failing", "subscription", id, "error", err)
	}
}

// episode tells a time in which a subscription fails from others.
func episode(since time.Time) string { return strconv.FormatInt(since.UnixNano(), 10) }

// noteFailing makes it durable that a subscription fails, unless another attempt has
// noted something meanwhile: how that one went is later.
func (h *health) noteFailing(ctx context.Context, seen *subscription, since, last, warned time.Time) error {
	_, err := h.subs.change(ctx, seen.ID, func(sub *subscription) error {
		if !sub.FailingSince.Equal(seen.FailingSince) {
			return errUnchanged
		}
		sub.FailingSince, sub.FailedLast, sub.Warned = since, last, warned
		return nil
	})
	return err
}

// worked notes an attempt that went well.
func (h *health) worked(ctx context.Context, id string) {
	if sub := h.subs.registry.get(id); sub == nil || sub.FailingSince.IsZero() { // it may have changed since the attempt began
		return
	}
	_, err := h.subs.change(ctx, id, func(sub *subscription) error {
		if sub.FailingSince.IsZero() {
			return errUnchanged
		}
		sub.works()
		return nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		h.log.Warn("cannot store that a subscription works again", "subscription", id, "error", err)
	}
}

// works forgets that attempts have failed.
func (sub *subscription) works() {
	sub.FailingSince, sub.FailedLast, sub.Warned = time.Time{}, time.Time{}, time.Time{}
}

// disable disables a subscription. The event comes first: a crash between the two
// repeats both, and the event is the same; episode tells it from others.
func (h *health) disable(ctx context.Context, sub *subscription, reason, episode string) error {
	if err := h.operational(ctx, sub, event.TypeDisabled, episode, reason, sub.FailingSince); err != nil {
		return err
	}
	changed := false
	_, err := h.subs.change(ctx, sub.ID, func(sub *subscription) error {
		if changed = sub.DisabledReason == ""; !changed {
			return errUnchanged
		}
		sub.DisabledReason, sub.DisabledAt = reason, h.subs.store.Now()
		return nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if changed && err == nil && !sub.Bound { // else its receiver is told of, not each session
		h.deliveries.Ends(sub.receiver())
		h.log.Warn("webhook subscription disabled", "subscription", sub.ID, "host", send.HostOf(sub.URL), "reason", reason)
	}
	return nil
}

// operational records an event about a subscription.
func (h *health) operational(ctx context.Context, sub *subscription, eventType, episode, reason string, since time.Time) error {
	if sub.Bound {
		return nil // whoever attached it hears of the session elsewhere
	}
	return h.events.RecordOperational(ctx, eventType, episode, event.Operational{
		Subscription: sub.ID, Description: sub.Description, Reason: reason, FailingSince: since,
	})
}

// gone notes that a receiver wants no more; the delivery is the one that was answered so.
func (h *health) gone(ctx context.Context, id, deliveryID string) error {
	sub := h.subs.registry.get(id)
	if sub == nil {
		return nil
	}
	return h.disable(ctx, sub, DisabledGone, deliveryID)
}
