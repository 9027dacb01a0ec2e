package webhook

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	// disableAfter is how long attempts must have failed, all of them, for a
	// subscription to be disabled; there is a warning at half of it, and as long again
	// after that to do something.
	disableAfter = 5 * 24 * time.Hour
	// noteAfter is how long attempts fail until that is noted durably: most receivers
	// that fail come back sooner, and need not cost a write.
	noteAfter = time.Minute
)

// failures knows since when every attempt for a subscription has failed.
type failures struct {
	mu sync.Mutex
	by map[string]failing // by subscription; guarded by mu
}

// failing is a time in which attempts were made and all of them failed.
type failing struct{ since, last time.Time }

// add adds a failed attempt to what is known, or else was noted. A time without
// attempts says nothing about a receiver: after quiet, failing begins anew.
func (f *failures) add(id string, noted failing, at time.Time, quiet time.Duration) failing {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, is := f.by[id]
	if !is {
		known = noted
	}
	if known.since.IsZero() || at.Sub(known.last) > quiet {
		known.since = at
	}
	known.last = at
	f.by[id] = known
	return known
}

func (f *failures) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.by, id)
}

func (f *failures) since(id string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[id].since
}

// forgetFailures begins anew with a subscription.
func (s *Service) forgetFailures(sub *subscription) {
	s.failures.end(sub.ID)
	if !sub.Bound { // else the lane is not its own
		s.receivers.forget(sub.lane)
	}
}

func (s *Service) failingSince(sub *subscription) time.Time {
	if since := s.failures.since(sub.ID); !since.IsZero() {
		return since
	}
	return sub.Failing
}

// quiet is how long there may be no attempt while a subscription counts as failing: a
// delivery that is retried has none for as long as its longest wait.
func (s *Service) quiet() time.Duration {
	quiet := s.disableAfter / 3
	for _, wait := range s.cfg.Retries {
		quiet = max(quiet, wait+wait/2)
	}
	return quiet
}

// failedAgain notes a failed attempt. Should that not work now, the next one will do.
func (s *Service) failedAgain(ctx context.Context, log logger, id string) {
	sub := s.registry.get(id)                          // it may have changed since the attempt began
	if sub == nil || sub.Disabled != "" || sub.Bound { // that ends before long anyway
		return
	}
	now := time.Now()
	f := s.failures.add(id, failing{sub.Failing, sub.FailedLast}, now, s.quiet())
	var warned time.Time
	if sub.Failing.Equal(f.since) {
		warned = sub.Warned
	}
	var err error
	switch half := s.disableAfter / 2; {
	case !warned.IsZero() && now.Sub(f.since) >= s.disableAfter && now.Sub(warned) >= half:
		err = s.disable(ctx, sub, DisabledFailing, episode(f.since))
	case warned.IsZero() && now.Sub(f.since) >= half:
		if err = s.operational(ctx, sub, TypeFailing, episode(f.since), "", f.since); err == nil {
			err = s.noteFailing(ctx, id, f, now)
			log.Warn("webhook subscription will be disabled if its receiver goes on failing",
				"host", hostOfURL(sub.URL), "failing_since", f.since, "disabled_after", s.disableAfter)
		}
	case !sub.Failing.Equal(f.since) && (!sub.Failing.IsZero() || now.Sub(f.since) >= noteAfter),
		sub.Failing.Equal(f.since) && now.Sub(sub.FailedLast) >= s.quiet()/8: // after a restart, that is all there is
		err = s.noteFailing(ctx, id, f, warned)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		log.Warn("cannot store that a subscription is failing", "error", err)
	}
}

func episode(since time.Time) string { return strconv.FormatInt(since.UnixNano(), 10) }

// noteFailing makes it durable that a subscription fails, unless an attempt goes well
// meanwhile: whichever of the two comes second sees the other.
func (s *Service) noteFailing(ctx context.Context, id string, f failing, warned time.Time) error {
	goesOn := func() bool { return s.failures.since(id).Equal(f.since) }
	_, err := s.change(ctx, id, func(sub *subscription) error {
		if !goesOn() {
			return errUnchanged
		}
		sub.Failing, sub.FailedLast, sub.Warned = f.since, f.last, warned
		return nil
	})
	if err == nil && !goesOn() {
		return s.noteWorking(ctx, id, f.since)
	}
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// noteWorking takes back what noteFailing has noted about the time since then.
func (s *Service) noteWorking(ctx context.Context, id string, since time.Time) error {
	_, err := s.change(ctx, id, func(sub *subscription) error {
		if !sub.Failing.Equal(since) {
			return errUnchanged
		}
		sub.Failing, sub.FailedLast, sub.Warned = time.Time{}, time.Time{}, time.Time{}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// worked notes an attempt that went well.
func (s *Service) worked(ctx context.Context, id string) {
	s.failures.end(id)
	sub := s.registry.get(id) // it may have changed since the attempt began
	if sub == nil || sub.Failing.IsZero() {
		return
	}
	if err := s.noteWorking(ctx, id, sub.Failing); err != nil && !errors.Is(err, ErrNotFound) {
		s.log.Warn("cannot store that a subscription works again", "subscription", id, "error", err)
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
	if !sub.Bound { // else its receiver is told of, not each session
		s.receivers.forget(sub.lane)
		s.log.Warn("webhook subscription disabled", "subscription", sub.ID, "host", hostOfURL(sub.URL), "reason", reason)
	}
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
	payload, err := encode(envelope{TypeTest, stamp(now), operationalData{Subscription: sub.ID, Description: sub.Description, Verbatim: verbatim}})
	if err != nil {
		return Attempt{}, err
	}
	s.metrics.events.WithLabelValues(TypeTest).Inc()
	eventID := s.store.ID("evt_", sub.ID, TypeTest, strconv.FormatInt(now.UnixNano(), 10))
	o := s.sender.send(ctx, message{url: sub.URL, id: eventID, payload: payload, headers: sub.Headers, keys: sub.keys(now)})
	return o.Attempt, nil
}
