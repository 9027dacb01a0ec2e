package webhook

import (
	"context"
	"errors"
	"strconv"
	"time"

	"pollbridge/event"
	"pollbridge/webhook/send"
)

// disableAfter is how long attempts must have failed, all of them, for a subscription to
// be disabled; there is a warning at half of it, and as long again after that to do
// something.
const disableAfter = 5 * 24 * time.Hour

// quiet is how long there may be no attempt while a subscription counts as failing: a
// delivery that is retried has none for as long as its longest wait. A longer time
// without attempts says nothing about a receiver: after it, failing begins anew.
func (s *Service) quiet() time.Duration {
	quiet := s.disableAfter / 3
	for _, wait := range s.cfg.Retries {
		quiet = max(quiet, wait+wait/2)
	}
	return quiet
}

// failedAgain notes a failed attempt. Should that not work now, the next one will do.
func (s *Service) failedAgain(ctx context.Context, id string) {
	sub := s.registry.get(id)                                // it may have changed since the attempt began
	if sub == nil || sub.DisabledReason != "" || sub.Bound { // that ends before long anyway
		return
	}
	now := time.Now()
	since, warned := sub.FailingSince, sub.Warned
	if since.IsZero() || now.Sub(sub.FailedLast) > s.quiet() {
		since, warned = now, time.Time{}
	}
	var err error
	switch failing := now.Sub(since); {
	case !warned.IsZero() && failing >= s.disableAfter && now.Sub(warned) >= s.disableAfter/2:
		err = s.disable(ctx, sub, DisabledFailing, episode(since))
	case warned.IsZero() && failing >= s.disableAfter/2:
		if err = s.operational(ctx, sub, event.TypeFailing, episode(since), "", since); err == nil {
			err = s.noteFailing(ctx, sub, since, now, now)
			s.log.Warn("webhook subscription will be disabled if its receiver goes on failing", "subscription", id,
				"host", hostOfURL(sub.URL), "failing_since", since, "disabled_after", s.disableAfter)
		}
	case failing == 0 || now.Sub(sub.FailedLast) >= s.quiet()/8: // else it costs a write and tells hardly more
		err = s.noteFailing(ctx, sub, since, now, warned)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.log.Warn("cannot store that a subscription is failing", "subscription", id, "error", err)
	}
}

// episode tells a time in which a subscription fails from others.
func episode(since time.Time) string { return strconv.FormatInt(since.UnixNano(), 10) }

// noteFailing makes it durable that a subscription fails, unless another attempt has
// noted something meanwhile: how that one went is later.
func (s *Service) noteFailing(ctx context.Context, seen *subscription, since, last, warned time.Time) error {
	_, err := s.change(ctx, seen.ID, func(sub *subscription) error {
		if !sub.FailingSince.Equal(seen.FailingSince) {
			return errUnchanged
		}
		sub.FailingSince, sub.FailedLast, sub.Warned = since, last, warned
		return nil
	})
	return err
}

// worked notes an attempt that went well.
func (s *Service) worked(ctx context.Context, id string) {
	if sub := s.registry.get(id); sub == nil || sub.FailingSince.IsZero() { // it may have changed since the attempt began
		return
	}
	_, err := s.change(ctx, id, func(sub *subscription) error {
		if sub.FailingSince.IsZero() {
			return errUnchanged
		}
		sub.works()
		return nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.log.Warn("cannot store that a subscription works again", "subscription", id, "error", err)
	}
}

// works forgets that attempts have failed.
func (sub *subscription) works() {
	sub.FailingSince, sub.FailedLast, sub.Warned = time.Time{}, time.Time{}, time.Time{}
}

// disable disables a subscription. The event comes first: a crash between the two
// repeats both, and the event is the same; episode tells it from others.
func (s *Service) disable(ctx context.Context, sub *subscription, reason, episode string) error {
	if err := s.operational(ctx, sub, event.TypeDisabled, episode, reason, sub.FailingSince); err != nil {
		return err
	}
	changed := false
	_, err := s.change(ctx, sub.ID, func(sub *subscription) error {
		if changed = sub.DisabledReason == ""; !changed {
			return errUnchanged
		}
		sub.DisabledReason, sub.DisabledAt = reason, time.Now()
		return nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if changed && err == nil && !sub.Bound { // else its receiver is told of, not each session
		s.receivers.forget(sub)
		s.log.Warn("webhook subscription disabled", "subscription", sub.ID, "host", hostOfURL(sub.URL), "reason", reason)
	}
	return nil
}

// operational records an event about a subscription.
func (s *Service) operational(ctx context.Context, sub *subscription, eventType, episode, reason string, since time.Time) error {
	if sub.Bound {
		return nil // whoever attached it hears of the session elsewhere
	}
	return s.events.RecordOperational(ctx, eventType, episode, event.Operational{
		Subscription: sub.ID, Description: sub.Description, Reason: reason, FailingSince: since,
	})
}

// Test sends a webhook.test event at once, whatever the subscription listens to and
// also if it is disabled, and returns what happened. It is not retried.
func (s *Service) Test(ctx context.Context, id string) (send.Attempt, error) {
	sub, err := s.stored(ctx, id)
	if err != nil {
		return send.Attempt{}, err
	}
	now := time.Now()
	payload, err := event.TestPayload(event.Operational{Subscription: sub.ID, Description: sub.Description}, now)
	if err != nil {
		return send.Attempt{}, err
	}
	s.events.Count(event.TypeTest)
	eventID := s.store.ID("evt_", sub.ID, event.TypeTest, strconv.FormatInt(now.UnixNano(), 10))
	o := s.sender.Send(ctx, send.Message{URL: sub.URL, ID: eventID, Payload: payload, Headers: sub.Headers, Keys: sub.keys(now)})
	return o.Attempt, nil
}
