package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/send"
)

// mostAttached is how many subscriptions can be attached to one session: clients name
// them, and each is kept.
const mostAttached = 16

// mostBound is how many subscriptions can be attached to sessions in all: they are
// kept in memory, for sessions that nobody may know.
const mostBound = 200_000

// Attach makes a subscription of one session, which ends with it: when the session's
// last event (a final one, session.not_found or session.abandoned) was delivered to it,
// when a final one is not for it and nothing else waits, when the session is erased, and at
// the latest when Options.History is over. The error is ErrFull where there are too many.
// The same session and URL make the same subscription: attached again, it is as it was
// attached the last time, and has no Secret. If the session's last event came before, it is delivered to it too,
// once. A session that was given up may be watched once more: attached again, the
// subscription is there until it ends then.
func (s *Service) Attach(ctx context.Context, subject event.Subject, o AttachOptions) (Subscription, error) {
	if !store.IsID(subject.Session) {
		return Subscription{}, &FieldError{"session", "must be the id of a session, ses_…"}
	}
	sub := draft(Subscription{
		ID: s.store.ID("sub_", subject.Session, o.URL), URL: o.URL, Events: o.Events, Session: subject.Session,
		IncludeFile: o.IncludeFile, Headers: o.Headers, Signature: o.Signature, Secret: o.Secret, Bound: true,
	})
	if err := s.check(sub); err != nil {
		return Subscription{}, err
	}
	for {
		attached, err := s.attach(ctx, sub.clone(), o.Secret == "")
		if !errors.Is(err, ErrNotFound) || ctx.Err() != nil {
			return attached, err
		}
		// Somebody else's has gone again: the session has ended meanwhile.
	}
}

// attach fails with ErrNotFound where a subscription goes that was there.
func (s *Service) attach(ctx context.Context, sub *subscription, tell bool) (Subscription, error) {
	existing := s.registry.get(sub.ID)
	if existing != nil && existing.differs(sub, tell) {
		taken, err := s.takeOver(ctx, sub, tell)
		if err != nil {
			return Subscription{}, err
		}
		existing = taken
	}
	if caughtUp, known := s.caughtUp.Load(sub.ID); known && caughtUp == nil && existing != nil {
		return existing.view(), nil
	}
	if existing == nil {
		last, d, err := s.lastDelivery(ctx, sub)
		if err != nil || last.Final && (d.State == StateDelivered || !sub.covers(last)) {
			return sub.view(), err // it is over and need not come back: clients name it with each poll
		}
		sub.From, sub.Heard = last.Position, last.GivenUpAt()
		if existing, err = s.createBound(ctx, sub); err != nil {
			return Subscription{}, err
		}
	}
	isNew := existing == nil
	sub = cmp.Or(existing, sub)
	catching := new(byte) // whoever hears of another end meanwhile takes it away
	s.caughtUp.Store(sub.ID, catching)
	if err := s.catchUp(ctx, sub); err != nil {
		s.caughtUp.CompareAndDelete(sub.ID, catching)
		return Subscription{}, err
	}
	s.caughtUp.CompareAndSwap(sub.ID, catching, nil)
	if s.registry.get(sub.ID) == nil { // it has gone again, perhaps before it was noted
		s.caughtUp.Delete(sub.ID)
	}
	if isNew && tell {
		return sub.withSecret(), nil
	}
	return sub.view(), nil // whoever gave the secret knows it
}

// differs reports whether what is attached again is to be another subscription than the one
// that is there. A secret counts if it was given.
func (sub *subscription) differs(other *subscription, secretMade bool) bool {
	return sub.IncludeFile != other.IncludeFile || sub.Signature != other.Signature || !secretMade && sub.Secret != other.Secret ||
		!slices.Equal(sub.Events, other.Events) || !maps.Equal(sub.Headers, other.Headers)
}

// takeOver has a subscription that is there be as it is attached now. The secret before signs
// for a while, too, as after a rotation.
func (s *Service) takeOver(ctx context.Context, attached *subscription, secretMade bool) (*subscription, error) {
	return s.change(ctx, attached.ID, func(sub *subscription) error {
		if !sub.differs(attached, secretMade) {
			return errUnchanged
		}
		if secret := sub.Secret; !secretMade && secret != attached.Secret {
			sub.rotate(time.Now())
			sub.Secret = attached.Secret
		}
		sub.IncludeFile, sub.Signature, sub.Events, sub.Headers = attached.IncludeFile, attached.Signature, attached.Events, attached.Headers
		sub.completeKeys()
		return nil
	})
}

// catchUp delivers the last event of a session to a subscription that is attached now: it
// may have been fanned out before the subscription was there, and a crash may have come
// between the two. If it was not, the two items are one.
func (s *Service) catchUp(ctx context.Context, sub *subscription) error {
	last, d, err := s.lastDelivery(ctx, sub)
	if err != nil {
		return err
	}
	if end := last.GivenUpAt(); end > sub.Heard {
		if err := s.noteHeard(ctx, sub, end); err != nil {
			return err
		}
	}
	switch {
	case last.Position > 0 && d.revision == 0 && sub.covers(last):
		return s.enqueue(ctx, sub, last, 0)
	case last.Final && d.State == StateDelivered: // to what was there before, and has gone since
		return s.release(ctx, sub, last)
	}
	return s.releaseUntold(ctx, sub, last)
}

// lastDelivery returns the last event of a bound subscription's session, and its delivery.
func (s *Service) lastDelivery(ctx context.Context, sub *subscription) (last *event.Event, d *delivery, err error) {
	if last, err = s.events.Last(ctx, sub.Session); err != nil {
		return nil, nil, err
	}
	if d, err = s.deliveryOf(ctx, sub.ID, last); err != nil {
		return nil, nil, fmt.Errorf("webhook: %w", err)
	}
	return last, d, nil
}

// createBound stores a subscription, or returns the same one if somebody else was
// quicker.
func (s *Service) createBound(ctx context.Context, sub *subscription) (existing *subscription, err error) {
	switch attached, all := s.registry.boundTo(sub.Session); {
	case len(attached) >= mostAttached:
		return nil, &FieldError{"url", fmt.Sprintf("the session already has %d webhooks", mostAttached)}
	case all >= s.mostBound:
		return nil, ErrFull
	}
	if err := s.create(ctx, sub, s.ttlOf(sub)); !errors.Is(err, store.ErrConflict) {
		return nil, err
	}
	defer s.registry.writing(sub.ID)() // it is put after it was read, and may go between
	if existing, err = s.stored(ctx, sub.ID); err == nil {
		s.registry.put(existing)
	}
	return existing, err
}

// noteHeard makes a bound subscription outlive an end of its session at which that was
// given up: it may be watched once more. If it was released meanwhile the error is
// ErrNotFound.
func (s *Service) noteHeard(ctx context.Context, sub *subscription, end uint64) error {
	ending := s.endings.of(sub.Session)
	ending.RLock()
	defer ending.RUnlock()
	_, err := s.change(ctx, sub.ID, func(sub *subscription) error {
		sub.Heard = end
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		s.registry.remove(sub.ID, sub.revision, false)
	}
	return err
}

// HeaderTarget reads the value of a Pollbridge-Webhook header. The error is a
// *TargetError.
func (s *Service) HeaderTarget(value string) (AttachOptions, error) {
	if len(s.cfg.HeaderHosts) == 0 {
		return AttachOptions{}, &TargetError{"not enabled: webhook.header_hosts is empty"}
	}
	u, err := s.sender.CheckURL(value)
	if err != nil {
		return AttachOptions{}, &TargetError{err.Error()}
	}
	secret, listed := s.cfg.HeaderHosts[send.Host(u)]
	if !listed {
		return AttachOptions{}, &TargetError{fmt.Sprintf("%s is not one of the hosts in webhook.header_hosts", send.Host(u))}
	}
	return AttachOptions{URL: value, Secret: secret}, nil
}

// ttlOf is how long a subscription is kept, as store.Table has it.
func (s *Service) ttlOf(sub *subscription) time.Duration {
	if !sub.Bound {
		return 0
	}
	return max(time.Second, time.Until(sub.Created.Add(s.history)))
}

// consumerOf names the consumer that delivers to a subscription: its own, but those of
// single sessions share the one of their host, so that no signing makes its own.
func (s *Service) consumerOf(sub *subscription) string {
	if !sub.Bound {
		return sub.ID
	}
	u, err := url.Parse(sub.URL)
	if err != nil {
		return sub.ID
	}
	return s.store.ID("host_", u.Scheme, send.Host(u), u.Port())
}

// EraseSession erases the events of a session, its deliveries with all that was kept
// of the receivers' answers, and the subscriptions attached to it. Called again after
// an error it goes on where it was. A session that is registered again meanwhile, or
// later, has its events as if it had never been there before, with the same ids.
func (s *Service) EraseSession(ctx context.Context, sessionID string) error {
	if !store.IsID(sessionID) {
		return nil
	}
	attached, _ := s.registry.boundTo(sessionID)
	for _, sub := range attached {
		if err := s.drop(ctx, sub); err != nil {
			return err
		}
	}
	position, err := s.eraseEvents(ctx, sessionID)
	if err != nil {
		return fmt.Errorf("webhook: erasing events: %w", err)
	}
	if err := s.eraseDeliveries(ctx, sessionID, position); err != nil {
		return fmt.Errorf("webhook: erasing deliveries: %w", err)
	}
	return nil
}

// eraseEvents returns up to which position of the log events were erased. Attempts under way
// for them record nothing any more.
func (s *Service) eraseEvents(ctx context.Context, sessionID string) (position uint64, err error) {
	if position, err = s.events.Erase(ctx, sessionID); err == nil {
		writes := s.writes.of(sessionID)
		writes.Lock() // what is being written now is there when deliveries are erased
		s.erased.add(sessionID, position)
		writes.Unlock()
	}
	return position, err
}

// eraseDeliveries erases the deliveries of events up to a position.
func (s *Service) eraseDeliveries(ctx context.Context, sessionID string, position uint64) error {
	for before := uint64(0); ; {
		records, err := s.deliveries.List(ctx, "*."+sessionID+".*", before, 100)
		if err != nil || len(records) == 0 {
			return err
		}
		for _, r := range records {
			before = r.Revision
			if d, err := readDelivery(r); err == nil && d.Position > position {
				continue
			}
			if err := errors.Join(s.deliveries.Delete(ctx, r.Key), s.dead.Delete(ctx, r.Key)); err != nil {
				return err
			}
		}
	}
}
