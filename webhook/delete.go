package webhook

import (
	"context"
	"errors"
	"math"
	"time"

	"pollbridge/store"
)

const (
	// deleteTime is how long deleting a subscription waits until what waits for it has ended,
	// which goes on after that.
	deleteTime = 5 * time.Second
	// endEvery is how often what deleted subscriptions leave is looked for.
	endEvery = time.Second
)

// Delete removes a subscription; ErrNotFound if there is none. What waits for it is dead.
// Its deliveries stay to be read until their time is over.
//
// Its record says so first, and goes last: until then it tells whoever is killed, or has the
// events of before handed out again, whose deliveries have to be ended.
func (s *Service) Delete(ctx context.Context, id string) error {
	sub, err := s.markDeleted(ctx, id)
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, deleteTime)
	defer cancel()
	s.tellEnd(sub, s.endDeleted(soon, sub))
	return nil
}

func (s *Service) markDeleted(ctx context.Context, id string) (*subscription, error) {
	return s.subs.change(ctx, id, func(sub *subscription) error {
		sub.Ended = math.MaxUint64 // until it is known which events came before that
		return nil
	})
}

// endAllDeleted ends what is left of deleted subscriptions, by this process or another one.
func (s *Service) endAllDeleted() {
	tick := time.NewTicker(endEvery)
	defer tick.Stop()
	for s.living.Err() == nil {
		for _, sub := range s.subs.registry.deleted() {
			s.tellEnd(sub, s.endDeleted(s.living, sub))
		}
		select {
		case <-tick.C:
		case <-s.living.Done():
		}
	}
}

func (s *Service) tellEnd(sub *subscription, err error) {
	if err != nil && s.living.Err() == nil && !errors.Is(err, store.ErrConflict) { // it was attached again, or somebody else has ended it
		s.log.Warn("what waits for a deleted subscription has not ended yet", "subscription", sub.ID, "error", err)
	}
}

// endDeleted ends what waits for a deleted subscription, and forgets that when nothing comes
// any more: it has to be called again until then.
func (s *Service) endDeleted(ctx context.Context, sub *subscription) error {
	sub, err := s.ended(ctx, sub)
	if err != nil || sub == nil {
		return err
	}
	safe, err := s.deliveries.Safe(ctx, sub.Ended-1) // first, or what comes meanwhile would be missed
	if err != nil {
		return err
	}
	// It may have been attached again since it was looked for.
	if stored, err := s.subs.find(ctx, sub.ID); err != nil || stored.revision != sub.revision {
		return unlessNotFound(err)
	}
	if err := s.deliveries.Deleted(ctx, sub.receiver()); err != nil || !safe {
		return err
	}
	return s.subs.dropIf(ctx, sub)
}

// ended returns a deleted subscription once its record says which events came before that; nil
// if it is not deleted any more.
func (s *Service) ended(ctx context.Context, sub *subscription) (*subscription, error) {
	for sub.Ended == math.MaxUint64 {
		newest, err := s.events.Newest(ctx)
		if err != nil {
			return nil, err
		}
		sub = sub.clone()
		sub.Ended = newest + 1
		err = s.subs.update(ctx, sub)
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
		if sub, err = s.subs.find(ctx, sub.ID); err != nil || sub.Ended == 0 {
			return nil, unlessNotFound(err)
		}
	}
	return sub, nil
}
