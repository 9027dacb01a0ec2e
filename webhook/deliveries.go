package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pollbridge/event"
	"pollbridge/store"
)

// show is what people may see of a delivery.
func (s *Service) show(d *delivery) Delivery {
	v := d.Delivery
	if v.State == StateWaiting && s.registry.get(v.Subscription) == nil {
		v.State, v.Reason, v.Next = StateDead, "the subscription was deleted", time.Time{}
	}
	return v
}

// Deliveries returns up to limit deliveries, those that changed last first. before is
// what the page before returned as next, or empty. next is empty at the end; a page
// may be shorter than limit, even empty, and yet not the last. A delivery is listed
// once something has happened to it: its first attempt, in general. The error is a
// *FieldError where f or before cannot be used.
func (s *Service) Deliveries(ctx context.Context, f DeliveryFilter, before string, limit int) (page []Delivery, next string, err error) {
	match, err := f.match()
	if err != nil {
		return nil, "", err
	}
	revision, err := readCursor(before)
	if err != nil {
		return nil, "", cursorError("before")
	}
	table, read := s.deliveries, readDelivery
	if f.State == StateDead { // they are listed on their own: there are few among many
		table, read = s.dead, func(r store.Record) (*delivery, error) { return s.readDelivery(ctx, r.Key) }
	}
	const mostPages = 8 // read for one page of the answer, where a state is rare
	for range mostPages {
		records, err := table.List(ctx, match, revision, max(limit, 1))
		if err != nil {
			return nil, "", fmt.Errorf("webhook: listing deliveries: %w", err)
		}
		for _, r := range records {
			revision = r.Revision
			switch d, err := read(r); {
			case errors.Is(err, store.ErrNotFound):
				continue
			case errors.Is(err, store.ErrDamaged):
				s.log.Error("skipping an unreadable delivery", "error", err)
				continue
			case err != nil:
				return nil, "", fmt.Errorf("webhook: listing deliveries: %w", err)
			default:
				if v := s.show(d); f.State == "" || v.State == f.State {
					page = append(page, v)
				}
			}
			if len(page) == limit {
				return page, cursor(revision), nil
			}
		}
		if len(records) < max(limit, 1) {
			return page, "", nil
		}
	}
	return page, cursor(revision), nil
}

func (f DeliveryFilter) match() (string, error) {
	for _, field := range [][2]string{{"subscription", f.Subscription}, {"session", f.Session}} {
		if field[1] != "" && !store.IsID(field[1]) {
			return "", &FieldError{field[0], "must be an id that the API returned"}
		}
	}
	if f.State != "" && !slices.Contains(states, f.State) {
		return "", &FieldError{"state", "must be one of " + strings.Join(states, ", ")}
	}
	return cmp.Or(f.Subscription, "*") + "." + cmp.Or(f.Session, "*") + ".*", nil
}

// Delivery returns a delivery, or ErrNotFound.
func (s *Service) Delivery(ctx context.Context, id string) (Delivery, error) {
	d, err := s.findDelivery(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	return s.show(d), nil
}

func (s *Service) findDelivery(ctx context.Context, id string) (*delivery, error) {
	if !store.IsID(id) {
		return nil, ErrNotFound
	}
	records, err := s.deliveries.List(ctx, "*.*."+id, 0, 1)
	if err != nil {
		return nil, fmt.Errorf("webhook: reading a delivery: %w", err)
	}
	if len(records) == 0 {
		return nil, ErrNotFound
	}
	return readDelivery(records[0])
}

// Redeliver delivers an event again, with all its retries: one that was delivered,
// superseded or given up, or waits for a retry. Errors are ErrNotFound, ErrUnderWay
// and ErrDisabled.
func (s *Service) Redeliver(ctx context.Context, id string) (Delivery, error) {
	d, err := s.findDelivery(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	sub, err := s.stored(ctx, d.Subscription)
	if err != nil {
		return Delivery{}, err
	}
	switch {
	case sub.DisabledReason != "":
		return Delivery{}, ErrDisabled
	case d.State == StateWaiting && !d.Next.After(time.Now()):
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
func (s *Service) redeliver(ctx context.Context, sub *subscription, e *event.Event, d *delivery) error {
	round := d.Round + 1
	if err := s.enqueue(ctx, sub, e, round); err != nil {
		return err
	}
	d.begin(round)
	if err := s.writeDelivery(ctx, d); err != nil && !errors.Is(err, store.ErrConflict) { // else the attempt was quicker
		return fmt.Errorf("webhook: noting a redelivery: %w", err)
	}
	return nil
}

// Recover delivers what a subscription has missed since a time: events that are dead,
// and those that came while it was disabled. It returns how many there are; called
// again after an error it goes on. The error is ErrNotFound or ErrDisabled where there
// is nobody to deliver to.
func (s *Service) Recover(ctx context.Context, id string, since time.Time) (count int, err error) {
	sub, err := s.stored(ctx, id)
	if err != nil {
		return 0, err
	}
	if sub.DisabledReason != "" {
		return 0, ErrDisabled
	}
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
			if e.Recorded.Before(since) || e.Position > newest || !sub.covers(e) {
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

func (s *Service) recoverOne(ctx context.Context, sub *subscription, e *event.Event) (bool, error) {
	d, err := s.deliveryOf(ctx, sub.ID, e)
	switch {
	case err != nil:
		return false, fmt.Errorf("webhook: %w", err)
	case d.State == StateDead:
		return true, s.redeliver(ctx, sub, e, d)
	case d.State == StateWaiting && d.Tries == 0 && d.Round == 0:
		return true, s.enqueue(ctx, sub, e, 0) // never tried, or about to be: then this adds nothing
	}
	return false, nil
}

// Stats returns what there is to know at a glance.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	st := Stats{Subscriptions: len(s.registry.list()), Dead: s.deadCount(), AttemptsUnderWay: s.consumers.underWay()}
	var err error
	if st.BacklogNow, st.BacklogLater, err = s.queue.Waiting(ctx, ""); err != nil {
		return st, fmt.Errorf("webhook: counting deliveries: %w", err)
	}
	return st, nil
}
