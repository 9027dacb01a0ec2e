package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"pollbridge/store"
)

// Deleted ends what waits for a subscription that was deleted: each delivery that did not
// arrive is dead, and listed and counted like any other, so that nothing vanishes with a
// subscription. What is under way ends so by itself. After an error, part of it may be left;
// call it again.
func (s *Service) Deleted(ctx context.Context, sub *Subscription) error {
	s.receivers.forget(sub)
	s.abandonLine(ctx, sub)
	return s.abandon(ctx, sub)
}

// abandonLine ends what waits in memory, of which nothing is recorded yet. What cannot be
// recorded goes to the queue.
func (s *Service) abandonLine(ctx context.Context, sub *Subscription) {
	c := s.consumers.get(sub.Consumer)
	if c == nil {
		return
	}
	for _, j := range c.takeOut(sub.ID) {
		err := s.conclude(ctx, s.records.begun(j.work), Dead, reasonDeleted)
		if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, errErased) {
			s.fanOut.queue(sub.Consumer, j)
			continue
		}
		j.done()
	}
}

// abandon looks for what waits until there is nothing any more: what changes meanwhile comes
// again.
func (s *Service) abandon(ctx context.Context, sub *Subscription) error {
	return s.records.bucket.EachNow(ctx, sub.ID+".*.*", func(record store.Record) error {
		d, err := readDelivery(record)
		if err != nil || d.over() {
			return nil
		}
		return s.abandonOne(ctx, sub, d)
	})
}

func (s *Service) abandonOne(ctx context.Context, sub *Subscription, d *delivery) error {
	err := s.conclude(ctx, d, Dead, reasonDeleted)
	switch {
	case errors.Is(err, store.ErrConflict): // it is found again if it still waits
		return nil
	case err != nil && !errors.Is(err, errErased):
		return err
	}
	// The record comes first: without it the item would be missed after a crash.
	if err := s.queue.Remove(ctx, cmp.Or(d.Consumer, sub.Consumer), itemName(d.ID, d.Position, d.Round)); err != nil {
		return fmt.Errorf("removing what waits for a subscription: %w", err)
	}
	return nil
}
