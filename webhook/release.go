package webhook

import (
	"context"
	"errors"
	"hash/fnv"
	"iter"
	"sync"

	"pollbridge/event"
	"pollbridge/store"
)

// sessionLocks has a lock for each session, which others may have, too.
type sessionLocks [64]sync.RWMutex

func (l *sessionLocks) of(sessionID string) *sync.RWMutex {
	hash := fnv.New32a()
	hash.Write([]byte(sessionID))
	return &l[hash.Sum32()%uint32(len(l))]
}

// delivered lets go of a bound subscription if it has had its last event now.
func (s *Service) delivered(ctx context.Context, sub *subscription, e *event.Event) {
	if sub = s.registry.get(sub.ID); sub == nil { // or it has changed since the attempt began
		return
	}
	var err error
	switch {
	case !sub.Bound:
	case e.Last():
		err = s.release(ctx, sub, e)
	case len(sub.Events) > 0:
		var last *event.Event
		if last, err = s.events.Last(ctx, e.Key); err == nil {
			err = s.releaseUntold(ctx, sub, last)
		}
	}
	s.tellRelease(sub, err)
}

// tellRelease logs that a subscription could not be released: its time to live ends it.
func (s *Service) tellRelease(sub *subscription, err error) {
	if err != nil {
		s.log.Warn("cannot remove the subscription of a finished session, it will expire", "subscription", sub.ID, "error", err)
	}
}

// release lets go of a bound subscription that has had an event with which its session was
// over. If that was given up and has another event since, or is watched once more for whoever
// has attached the subscription again, it stays.
func (s *Service) release(ctx context.Context, sub *subscription, e *event.Event) error {
	if !e.Final {
		ending := s.endings.of(e.Key)
		ending.Lock()
		defer ending.Unlock()
		if sub = s.registry.get(sub.ID); sub == nil || sub.Heard >= e.Position {
			return nil
		}
		if last, err := s.events.Last(ctx, e.Key); err != nil || last.Position != e.Position {
			return err
		}
	}
	if err := s.supersede(ctx, sub, e); err != nil {
		return err
	}
	return s.drop(ctx, sub)
}

// releaseUntold lets go of a bound subscription whose session is over and which does not
// want to be told of that, unless something else waits for it.
func (s *Service) releaseUntold(ctx context.Context, sub *subscription, last *event.Event) error {
	if !sub.Bound || !last.Final || sub.covers(last) {
		return nil
	}
	if had, err := s.hasHad(ctx, sub, last); err != nil || !had {
		return err
	}
	return s.drop(ctx, sub)
}

// givenUp is told that a session was given up, after the event of that was published, or once
// more, which makes no other event: then who has had all of them is let go.
func (s *Service) givenUp(ctx context.Context, sessionID string, published bool) {
	attached, _ := s.registry.boundTo(sessionID)
	for _, sub := range attached {
		s.caughtUp.Delete(sub.ID) // whoever attaches it from here on does so after that
		if published || sub.Heard == 0 {
			continue
		}
		s.tellRelease(sub, s.releaseAgain(ctx, sub))
	}
}

// releaseAgain lets go of a bound subscription that was attached again, or has it end with
// the event that it still waits for.
func (s *Service) releaseAgain(ctx context.Context, sub *subscription) error {
	ending := s.endings.of(sub.Session)
	ending.Lock()
	defer ending.Unlock()
	last, err := s.events.Last(ctx, sub.Session)
	if err != nil || last.Final {
		return err
	}
	had, err := s.hasHad(ctx, sub, last)
	if err == nil && had {
		return s.drop(ctx, sub)
	}
	if err == nil {
		_, err = s.change(ctx, sub.ID, func(sub *subscription) error {
			sub.Heard = 0
			return nil
		})
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// hasHad reports whether a subscription has had all that it wants of a session, up to its
// last event. What is dead may still be delivered again.
func (s *Service) hasHad(ctx context.Context, sub *subscription, last *event.Event) (bool, error) {
	for e := range s.upTo(last) {
		if e.Position < sub.From || !sub.covers(e) {
			continue
		}
		d, err := s.deliveryOf(ctx, sub.ID, e)
		if err != nil || d.State == StateWaiting || d.State == StateDead {
			return false, err
		}
	}
	return true, nil
}

// before yields the events of a session before e, as far as their deliveries need them.
func (s *Service) before(e *event.Event) iter.Seq[*event.Event] {
	return func(yield func(*event.Event) bool) {
		for i, position := range e.Positions {
			eventType := e.Seen[len(e.Seen)-1-len(e.Positions)+i]
			if !yield(&event.Event{
				ID: s.events.SessionEventID(e.Key, eventType), Type: eventType, Endpoint: e.Endpoint, Account: e.Account,
				Key: e.Key, Position: position,
			}) {
				return
			}
		}
	}
}

// upTo yields the events of a session before e, and e.
func (s *Service) upTo(e *event.Event) iter.Seq[*event.Event] {
	return func(yield func(*event.Event) bool) {
		for earlier := range s.before(e) {
			if !yield(earlier) {
				return
			}
		}
		yield(e)
	}
}

// supersede ends what waits of the events before e for a subscription, also what was
// never tried because e has overtaken it.
func (s *Service) supersede(ctx context.Context, sub *subscription, e *event.Event) error {
	for earlier := range s.before(e) {
		if !sub.covers(earlier) {
			continue
		}
		d, err := s.deliveryOf(ctx, sub.ID, earlier)
		if err != nil {
			return err
		}
		if d.over() {
			continue
		}
		if err := s.queue.Remove(ctx, sub.consumer, itemName(d.ID, d.Position, d.Round)); err != nil {
			return err
		}
		err = s.conclude(ctx, d, StateSuperseded, "")
		if err != nil && !errors.Is(err, store.ErrConflict) { // else its attempt was under way, and tells more
			return err
		}
	}
	return nil
}
