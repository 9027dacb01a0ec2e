package delivery

import (
	"context"
	"fmt"

	"pollbridge/event"
	"pollbridge/store"
)

// work is what an item of the queue says: deliver an event to a subscription.
type work struct {
	Subscription string `json:"s"`
	Subject      string `json:"k"`
	Event        string `json:"e"`
	Position     uint64 `json:"p"`
	Round        int    `json:"r,omitzero"`
	Tried        bool   `json:"t,omitzero"` // it was put away for a retry
}

// itemName tells rounds apart, and the events of a session that was erased from those
// of the same one registered again: the engine does not add the same item again so
// soon, though it was done.
func itemName(id string, position uint64, round int) string {
	if round == 0 {
		return fmt.Sprintf("%s-%d", id, position)
	}
	return fmt.Sprintf("%s-%d-%d", id, position, round)
}

// fanOut makes items of an event, one for each subscription that covers it. It may be
// given the same one again.
func (s *Service) fanOut(ctx context.Context, e *event.Event, done func()) error {
	for _, sub := range s.subscriptions.Matching(e) {
		if err := s.enqueue(ctx, sub, e, 0); err != nil {
			return err
		}
	}
	if !s.records.erased.has(e.Key, e.Position) {
		s.subscriptions.FannedOut(ctx, e)
	}
	done()
	return nil
}

// enqueue makes it durable that an event is to be delivered to a subscription.
func (s *Service) enqueue(ctx context.Context, sub *Subscription, e *event.Event, round int) error {
	value := encoded(work{sub.ID, e.Key, e.ID, e.Position, round, false})
	if err := s.queue.Add(ctx, sub.Consumer, itemName(s.records.id(sub.ID, e.ID), e.Position, round), value); err != nil {
		return fmt.Errorf("webhook: adding a delivery: %w", err)
	}
	s.consumers.ensure(sub.Consumer)
	return nil
}

// later puts an item away until the time of its next attempt.
func (s *Service) later(ctx context.Context, item *store.Item, d *delivery) error {
	value := encoded(work{d.Subscription, d.Session, d.Event, d.Position, d.Round, true})
	if err := s.queue.AddAt(ctx, item.Subject, item.Name, value, d.Next); err != nil {
		return fmt.Errorf("scheduling a retry: %w", err)
	}
	return nil
}
