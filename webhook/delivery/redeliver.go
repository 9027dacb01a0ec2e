package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"pollbridge/event"
	"pollbridge/store"
)

// Redeliver delivers an event again, with all its retries: one that was delivered,
// superseded or given up, or waits for a retry. A pending event of a session whose final one was
// delivered is attempted once. Errors are ErrNotFound, ErrEnded, ErrForgotten, ErrUnderWay and ErrDisabled.
func (s *Service) Redeliver(ctx context.Context, id string) (Delivery, error) {
	d, err := s.records.find(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	sub, err := s.subscription(ctx, d.Subscription)
	switch {
	case err != nil:
		return Delivery{}, err
	case sub == nil:
		return Delivery{}, ErrEnded
	case sub.Disabled:
		return Delivery{}, ErrDisabled
	case d.State == Waiting && !d.Next.After(s.store.Now()):
		return Delivery{}, ErrUnderWay
	}
	e, err := s.events.Get(ctx, d.Position)
	if errors.Is(err, store.ErrNotFound) {
		return Delivery{}, ErrForgotten
	}
	if err != nil {
		return Delivery{}, err
	}
	if err := s.redeliver(ctx, sub, e, d, true); err != nil {
		return Delivery{}, err
	}
	return d.Delivery, nil
}

// redeliver begins another round. The item comes first: the record alone would say
// that the delivery waits when nothing will ever come. Whoever takes the item sees by
// its round that the record is behind.
func (s *Service) redeliver(ctx context.Context, sub *Subscription, e *event.Event, d *delivery, asked bool) error {
	w := workOf(sub.ID, e, d.Round+1)
	w.Asked = asked
	if err := s.enqueue(ctx, sub.Consumer, w); err != nil {
		return err
	}
	d.begin(w.Round)
	d.Consumer = sub.Consumer
	err := s.records.write(ctx, d)
	if err == nil {
		err = s.records.reconcile(ctx, d)
	}
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, errErased) { // else the attempt was quicker
		return fmt.Errorf("webhook: noting a redelivery: %w", err)
	}
	return nil
}

// Deliver makes it durable that an event is to be delivered to a subscription, if it was
// not, or if that has ended with the subscription, which is there again.
func (s *Service) Deliver(ctx context.Context, sub *Subscription, e *event.Event) error {
	w := workOf(sub.ID, e, 0)
	d, err := s.records.of(ctx, w)
	switch {
	case err != nil:
		return fmt.Errorf("webhook: %w", err)
	case d.EndedWithSubscription():
		return s.redeliver(ctx, sub, e, d, false)
	}
	return s.enqueue(ctx, sub.Consumer, w)
}

// Supersede ends what waits of an event for a subscription, also what was never tried. What
// somebody else writes of it meanwhile counts.
func (s *Service) Supersede(ctx context.Context, sub *Subscription, e *event.Event) error {
	const often = 10 // nobody is that unlucky
	for range often {
		d, err := s.records.of(ctx, workOf(sub.ID, e, 0))
		if err != nil || d.over() {
			return err
		}
		if err = s.supersede(ctx, sub, d); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return errNotNow
}

// supersede writes the record first: without it nobody would know that the delivery ever was,
// or that it is over, where nothing comes after that.
func (s *Service) supersede(ctx context.Context, sub *Subscription, d *delivery) error {
	if err := s.conclude(ctx, d, Superseded, ""); err != nil && !errors.Is(err, errErased) {
		return err
	}
	name := itemName(d.ID, d.Position, d.Round)
	if c := s.consumers.get(sub.Consumer); c != nil {
		c.drop(name)
	}
	return s.queue.Remove(ctx, cmp.Or(d.Consumer, sub.Consumer), name)
}
