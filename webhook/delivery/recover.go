package delivery

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"pollbridge/event"
)

// recoverTime is how long one call of Recover goes on before it says where to continue.
const recoverTime = 15 * time.Second

// Recovery is what is to be recovered.
type Recovery struct {
	Since time.Time
	// Covers tells which events go to the subscription.
	Covers func(*event.Event) bool
	// From is what the call before returned, or empty.
	From string
}

// Recover delivers what a subscription has missed: events that are dead, and those that
// came while it was disabled. It returns how many there are; what is on its way anyway does
// not count. If that takes too long for one call, next is where another one continues. After
// an error, too, what was recovered is on its way, and is not found again. The error is
// ErrCursor where From cannot be used.
func (s *Service) Recover(ctx context.Context, sub *Subscription, r Recovery) (count int, next string, err error) {
	until, err := s.fanOut.upTo(ctx)
	if err != nil {
		return 0, "", err
	}
	position, err := readCursor(r.From)
	if err != nil || position > until {
		return 0, "", ErrCursor
	}
	for began := time.Now(); position < until; {
		events, last, err := s.page(ctx, position)
		if err != nil || last == position {
			return count, "", err
		}
		for i, e := range events {
			if i > 0 && time.Since(began) > s.recoverTime { // each call comes further
				return count, cursor(e.Position - 1), nil
			}
			if e.Position > until || e.Recorded.Before(r.Since) || !r.Covers(e) {
				continue
			}
			recovered, err := s.recoverOne(ctx, sub, e)
			if err != nil {
				return count, "", err
			}
			if recovered {
				count++
			}
		}
		if position = last; position < until && time.Since(began) > s.recoverTime {
			return count, cursor(position), nil
		}
	}
	return count, "", nil
}

// upTo is the position of the log up to which events are on their way, if they are: the
// others will be.
func (f *fanOut) upTo(ctx context.Context) (uint64, error) {
	newest, err := f.s.events.Newest(ctx)
	if f.s.store.Shared() {
		return newest, err // others hand out, too; what is on its way twice is one delivery
	}
	if handed := f.handed.Load(); handed != unknown {
		newest = min(newest, handed)
	}
	return newest, err
}

// page returns some events after a position, and the position to go on from: the same where
// there are none any more.
func (s *Service) page(ctx context.Context, position uint64) (events []*event.Event, last uint64, err error) {
	left, err := s.events.CountAfter(ctx, position)
	if err != nil || left == 0 { // the newest ones may be gone
		return nil, position, err
	}
	events, last, err = s.events.After(ctx, position, 256)
	if err == nil {
		err = context.Cause(ctx) // or they might have been missed
	}
	return events, last, err
}

func (s *Service) recoverOne(ctx context.Context, sub *Subscription, e *event.Event) (bool, error) {
	d, err := s.records.of(ctx, workOf(sub.ID, e, 0))
	switch {
	case err != nil:
		return false, fmt.Errorf("webhook: %w", err)
	case d.State == Dead:
		return true, s.redeliver(ctx, sub, e, d, false)
	case d.revision > 0, s.consumers.has(sub.Consumer, itemName(d.ID, d.Position, 0)):
		return false, nil
	}
	return true, s.Deliver(ctx, sub, e)
}

// cursor is where a list or a recovery goes on.
func cursor(position uint64) string { return strconv.FormatUint(position, 10) }

func readCursor(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	return strconv.ParseUint(text, 10, 63)
}
