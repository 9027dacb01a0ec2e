package webhook

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	// disableAfter is how long every attempt must have failed for a subscription to be
	// disabled; there is a warning at half of it.
	disableAfter = 5 * 24 * time.Hour
	// noteAfter is how long attempts fail until that is noted durably: most receivers
	// that fail come back sooner, and need not cost a write.
	noteAfter = time.Minute
)

// failures knows since when every attempt for a subscription has failed.
type failures struct {
	mu    sync.Mutex
	since map[string]time.Time // by subscription; guarded by mu
}

func (f *failures) begin(id string, at time.Time) (since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since, known := f.since[id]; known {
		return since
	}
	f.since[id] = at
	return at
}

func (f *failures) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.since, id)
}

func (f *failures) get(id string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.since[id]
}

func (s *Service) forgetFailures(id string) { s.failures.end(id) }

func (s *Service) failingSince(sub *subscription) time.Time {
	if since := s.failures.get(sub.ID); !since.IsZero() {
		return since
	}
	return sub.Failing
}

// failedAgain notes a failed attempt. Should that not work now, the next one will do.
func (s *Service) failedAgain(ctx context.Context, log logger, sub *subscription) {
	if sub.Bound {
		return // it ends before long anyway
	}
	at := sub.Failing
	if at.IsZero() {
		at = time.Now()
	}
	since := s.failures.begin(sub.ID, at)
	var err error
	switch failing := time.Since(since); {
	case failing >= s.disableAfter:
		err = s.disable(ctx, sub, DisabledFailing, strconv.FormatInt(since.UnixNano(), 10))
	case failing >= s.disableAfter/2 && !sub.Warned:
		if err = s.operational(ctx, sub, TypeFailing, strconv.FormatInt(since.UnixNano(), 10), "", since); err == nil {
			_, err = s.change(ctx, sub.ID, func(sub *subscription) error {
				sub.Failing, sub.Warned = since, true
				return nil
			})
			log.Warn("a subscription is failing and will be disabled if that goes on", "since", since)
		}
	case failing >= noteAfter && sub.Failing.IsZero():
		_, err = s.change(ctx, sub.ID, func(sub *subscription) error {
			sub.Failing = since
			return nil
		})
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		log.Warn("a failing subscription cannot be noted now", "error", err)
	}
}

// worked notes an attempt that went well.
func (s *Service) worked(ctx context.Context, sub *subscription) {
	s.failures.end(sub.ID)
	if sub.Failing.IsZero() && !sub.Warned {
		return
	}
	_, err := s.change(ctx, sub.ID, func(sub *subscription) error {
		sub.Failing, sub.Warned = time.Time{}, false
		return nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.log.Warn("a subscription that works again cannot be noted now", "subscription", sub.ID, "error", err)
	}
}

// errUnchanged leaves a subscription as it is.
var errUnchanged = errors.New("nothing to change")

// disable disables a subscription. The event comes first: a crash between the two
// repeats both, and the event is the same; episode tells it from others.
func (s *Service) disable(ctx context.Context, sub *subscription, reason, episode string) error {
	if err := s.operational(ctx, sub, TypeDisabled, episode, reason, s.failingSince(sub)); err != nil {
		return err
	}
	_, err := s.change(ctx, sub.ID, func(sub *subscription) error {
		if sub.Disabled != "" {
			return errUnchanged
		}
		sub.Disabled, sub.DisabledAt = reason, time.Now()
		sub.Failing = s.failingSince(sub)
		return nil
	})
	switch {
	case errors.Is(err, errUnchanged), errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	s.log.Warn("a subscription is disabled", "subscription", sub.ID, "reason", reason)
	return nil
}

// operational records an event about a subscription.
func (s *Service) operational(ctx context.Context, sub *subscription, eventType, episode, reason string, since time.Time) error {
	if sub.Bound {
		return nil // whoever attached it hears of the session elsewhere
	}
	mark := eventType + "@" + episode
	now := time.Now()
	_, err := s.record(ctx, sub.ID, mark, func(*event) (*event, error) {
		data := operationalData{Subscription: sub.ID, Description: sub.Description, FailingSince: stampOf(since)}
		if reason != "" {
			data.Reason = &reason
		}
		payload, err := encode(envelope{eventType, stamp(now), data})
		return &event{ID: s.store.ID("evt_", sub.ID, mark), Type: eventType, At: now, payload: payload}, err
	})
	return err
}

// Test sends a webhook.test event at once, whatever the subscription listens to and
// also if it is disabled, and returns what happened. It is not retried.
func (s *Service) Test(ctx context.Context, id string) (Attempt, error) {
	sub, err := s.stored(ctx, id)
	if err != nil {
		return Attempt{}, err
	}
	now := time.Now()
	payload, err := encode(envelope{TypeTest, stamp(now), operationalData{Subscription: sub.ID, Description: sub.Description}})
	if err != nil {
		return Attempt{}, err
	}
	s.metrics.events.WithLabelValues(TypeTest).Inc()
	eventID := s.store.ID("evt_", sub.ID, TypeTest, strconv.FormatInt(now.UnixNano(), 10))
	o := s.sender.send(ctx, message{url: sub.URL, id: eventID, payload: payload, headers: sub.Headers, keys: sub.keys(now)})
	return o.Attempt, nil
}
