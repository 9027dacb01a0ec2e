package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pollbridge/event"
	"pollbridge/store"
)

// Redeliver delivers an event again, with all its retries: one that was delivered,
// superseded or given up, or waits for a retry. Errors are ErrNotFound, ErrUnderWay
// and ErrDisabled.
func (s *Service) Redeliver(ctx context.Context, id string) (Delivery, error) {
	d, err := s.records.find(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	sub := s.subscriptions.Subscription(d.Subscription)
	switch {
	case sub == nil:
		return Delivery{}, ErrNotFound
	case sub.Disabled:
		return Delivery{}, ErrDisabled
	case d.State == Waiting && !d.Next.After(time.Now()):
		return Delivery{}, ErrUnderWay
	}
	e, err := s.events.Get(ctx, d.Position)
	if errors.Is(err, store.ErrNotFound) {
		return Delivery{}, ErrNotFound
	}
	if err != nil {
		return Delivery{}, err
	}
	if err := s.redeliver(ctx, sub, e, d); err != nil {
		return Delivery{}, err
	}
	return s.show(d), nil
}

// redeliver begins another round. The item comes first: the record alone would say
// that the delivery waits when nothing will ever come. Whoever takes the item sees by
// its round that the record is behind.
func (s *Service) redeliver(ctx context.Context, sub *Subscription, e *event.Event, d *delivery) error {
	round := d.Round + 1
	if err := s.enqueue(ctx, sub, e, round); err != nil {
		return err
	}
	d.begin(round)
	if err := s.records.write(ctx, d); err != nil && !errors.Is(err, store.ErrConflict) { // else the attempt was quicker
		return fmt.Errorf("webhook: noting a redelivery: %w", err)
	}
	return nil
}

// Recover delivers what a subscription has missed since a time: events that are dead,
// and those that came while it was disabled. covers tells which events go to it. It returns
// how many there are; called again after an error it goes on.
func (s *Service) Recover(ctx context.Context, sub *Subscription, covers func(*event.Event) bool, since time.Time) (count int, err error) {
	newest, err := s.events.Newest(ctx)
	if err != nil {
		return 0, err
	}
	for position := uint64(0); position < newest; {
		soon, cancel := context.WithTimeout(ctx, time.Second) // the newest ones may be gone
		events, next, err := s.events.After(soon, position, 256)
		cancel()
		if err != nil {
			return count, err
		}
		if next == position {
			return count, context.Cause(ctx)
		}
		for _, e := range events {
			if e.Recorded.Before(since) || e.Position > newest || !covers(e) {
				continue
			}
			recovered, err := s.recoverOne(ctx, sub, e)
			if err != nil {
				return count, err
			}
			if recovered {
				count++
			}
		}
		position = next
	}
	return count, nil
}

func (s *Service) recoverOne(ctx context.Context, sub *Subscription, e *event.Event) (bool, error) {
	d, err := s.records.of(ctx, sub.ID, e)
	switch {
	case err != nil:
		return false, fmt.Errorf("webhook: %w", err)
	case d.State == Dead:
		return true, s.redeliver(ctx, sub, e, d)
	case d.State == Waiting && d.Tries == 0 && d.Round == 0:
		return true, s.enqueue(ctx, sub, e, 0) // never tried, or about to be: then this adds nothing
	}
	return false, nil
}

// Deliver makes it durable that an event is to be delivered to a subscription, if it was
// not.
func (s *Service) Deliver(ctx context.Context, sub *Subscription, e *event.Event) error {
	return s.enqueue(ctx, sub, e, 0)
}

// Supersede ends what waits of events for a subscription, also what was never tried.
func (s *Service) Supersede(ctx context.Context, sub *Subscription, e *event.Event) error {
	d, err := s.records.of(ctx, sub.ID, e)
	if err != nil || d.over() {
		return err
	}
	if err := s.queue.Remove(ctx, sub.Consumer, itemName(d.ID, d.Position, d.Round)); err != nil {
		return err
	}
	err = s.conclude(ctx, d, Superseded, "")
	if errors.Is(err, store.ErrConflict) { // its attempt was under way, and tells more
		return nil
	}
	return err
}
