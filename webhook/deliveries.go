package webhook

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"pollbridge/store"
	"pollbridge/webhook/delivery"
)

// Deliveries lists deliveries, see delivery.Service. The error is a *FieldError where f or
// before cannot be used.
func (s *Service) Deliveries(ctx context.Context, f delivery.Filter, before string, limit int) (page []delivery.Delivery, next string, err error) {
	if err := checkFilter(f); err != nil {
		return nil, "", err
	}
	page, next, err = s.deliveries.List(ctx, f, before, limit)
	if errors.Is(err, delivery.ErrCursor) {
		err = cursorError("before")
	}
	return page, next, err
}

func checkFilter(f delivery.Filter) error {
	for _, field := range [][2]string{{"subscription", f.Subscription}, {"session", f.Session}} {
		if field[1] != "" && !store.IsID(field[1]) {
			return &FieldError{field[0], "must be an id that the API returned"}
		}
	}
	if f.State != "" && !slices.Contains(delivery.States(), f.State) {
		return &FieldError{"state", "must be one of " + strings.Join(delivery.States(), ", ")}
	}
	return nil
}

// Delivery returns a delivery, or ErrNotFound.
func (s *Service) Delivery(ctx context.Context, id string) (delivery.Delivery, error) {
	return s.deliveries.Get(ctx, id)
}

// Redeliver delivers an event again, with all its retries: one that was delivered,
// superseded or given up, or waits for a retry. A pending event of a session whose final one was
// delivered is attempted once. Errors are ErrNotFound, ErrEnded, ErrForgotten, ErrUnderWay and ErrDisabled.
func (s *Service) Redeliver(ctx context.Context, id string) (delivery.Delivery, error) {
	return s.deliveries.Redeliver(ctx, id)
}

// Recover delivers what a subscription has missed since a time: events that are dead,
// and those that came while it was disabled. It returns how many there are. Where there are
// more than one call has time for, next is what to call it with, as from, to go on; empty,
// it was all. The error is ErrNotFound or ErrDisabled where there is nobody to deliver to,
// and a *FieldError where from cannot be used.
func (s *Service) Recover(ctx context.Context, id string, since time.Time, from string) (count int, next string, err error) {
	sub, err := s.subs.stored(ctx, id)
	if err != nil {
		return 0, "", err
	}
	if sub.DisabledReason != "" {
		return 0, "", ErrDisabled
	}
	count, next, err = s.deliveries.Recover(ctx, sub.receiver(), delivery.Recovery{Since: since, Covers: sub.covers, From: from})
	if errors.Is(err, delivery.ErrCursor) {
		err = cursorError("continue_from")
	}
	return count, next, err
}
