package webhook

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
// given the same one again. Whoever is attached to a session of which this is the end, and
// did not ask for it, is let go.
func (s *Service) fanOut(ctx context.Context, e *event.Event, done func()) error {
	for _, sub := range s.registry.matching(e) {
		if err := s.enqueue(ctx, sub, e, 0); err != nil {
			return err
		}
	}
	if e.Final && !s.erased.has(e.Key, e.Position) {
		s.releaseAllUntold(ctx, e)
	}
	done()
	return nil
}

// releaseAllUntold lets go of those attached to a session that do not want to be told of its
// end.
func (s *Service) releaseAllUntold(ctx context.Context, e *event.Event) {
	attached, _ := s.registry.boundTo(e.Key)
	for _, sub := range attached {
		s.tellRelease(sub, s.releaseUntold(ctx, sub, e))
	}
}

// enqueue makes it durable that an event is to be delivered to a subscription.
func (s *Service) enqueue(ctx context.Context, sub *subscription, e *event.Event, round int) error {
	value := encoded(work{sub.ID, e.Key, e.ID, e.Position, round, false})
	if err := s.queue.Add(ctx, sub.consumer, itemName(s.deliveryID(sub.ID, e.ID), e.Position, round), value); err != nil {
		return fmt.Errorf("webhook: adding a delivery: %w", err)
	}
	s.consumers.ensure(sub.consumer)
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
