package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pollbridge/store"
)

func splitKey(key string) []string { return strings.Split(key, ".") }

func (s *Service) deliveryView(d *delivery) Delivery {
	v := Delivery{
		ID: d.ID, Subscription: d.subscription, Event: d.Event, Type: d.Type, Session: d.subject, State: d.State,
		Reason: d.Reason, Attempts: d.Attempts, Next: d.Next, Created: d.Created, Updated: d.updated,
	}
	if v.State == StateWaiting && s.registry.get(d.subscription) == nil {
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
	revision, err := readCursor("before", before)
	if err != nil {
		return nil, "", err
	}
	const mostPages = 8 // read for one page of the answer, where a state is rare
	for range mostPages {
		records, err := s.listDeliveries(ctx, f, match, revision, max(limit, 1))
		if err != nil {
			return nil, "", fmt.Errorf("webhook: listing deliveries: %w", err)
		}
		for _, r := range records {
			revision = r.cursor
			if v := s.deliveryView(r.delivery); f.State == "" || v.State == f.State {
				page = append(page, v)
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
		if field[1] != "" && !isToken(field[1]) {
			return "", &FieldError{field[0], "must be an id that the API returned"}
		}
	}
	if f.State != "" && !slices.Contains(States(), f.State) {
		return "", &FieldError{"state", "must be one of " + strings.Join(States(), ", ")}
	}
	return orAny(f.Subscription) + "." + orAny(f.Session) + ".*", nil
}

func orAny(token string) string {
	if token == "" {
		return "*"
	}
	return token
}

type listed struct {
	*delivery
	cursor uint64
}

// listDeliveries returns a page of deliveries, those that are dead by their own list:
// there are few among many.
func (s *Service) listDeliveries(ctx context.Context, f DeliveryFilter, match string, before uint64, limit int) ([]listed, error) {
	table := s.deliveries
	if f.State == StateDead {
		table = s.dead
	}
	records, err := table.List(ctx, match, before, limit)
	if err != nil {
		return nil, err
	}
	var page []listed
	for _, r := range records {
		at := r.Revision
		if f.State == StateDead {
			if r, err = s.deliveries.Get(ctx, r.Key); err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
		}
		d, err := &delivery{}, error(nil)
		if r.Key != "" {
			d, err = readDelivery(r)
		}
		if err != nil {
			s.log.Error("skipping an unreadable delivery", "error", err)
			d = &delivery{}
		}
		page = append(page, listed{d, at})
	}
	return page, nil
}

// Delivery returns a delivery, or ErrNotFound.
func (s *Service) Delivery(ctx context.Context, id string) (Delivery, error) {
	d, err := s.findDelivery(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	return s.deliveryView(d), nil
}

func (s *Service) findDelivery(ctx context.Context, id string) (*delivery, error) {
	if !isToken(id) {
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
	sub, err := s.stored(ctx, d.subscription)
	if err != nil {
		return Delivery{}, err
	}
	switch {
	case sub.Disabled != "":
		return Delivery{}, ErrDisabled
	case d.State == StateWaiting && !d.Next.After(time.Now()):
		return Delivery{}, ErrUnderWay
	}
	entry, err := s.journal.Get(ctx, d.Place)
	if errors.Is(err, store.ErrNotFound) {
		return Delivery{}, ErrNotFound
	}
	if err != nil {
		return Delivery{}, fmt.Errorf("webhook: reading an event: %w", err)
	}
	e, err := readEvent(entry)
	if err != nil {
		return Delivery{}, err
	}
	if err := s.redeliver(ctx, sub, e, d); err != nil {
		return Delivery{}, err
	}
	return s.deliveryView(d), nil
}

// redeliver begins another round. The item comes first: the record alone would say
// that the delivery waits when nothing will ever come. Whoever takes the item sees by
// its round that the record is behind.
func (s *Service) redeliver(ctx context.Context, sub *subscription, e *event, d *delivery) error {
	round := d.Round + 1
	if err := s.enqueue(ctx, sub, e, round); err != nil {
		return err
	}
	d.Round, d.State, d.Reason, d.Tries, d.Next = round, StateWaiting, "", 0, time.Time{}
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
	if sub.Disabled != "" {
		return 0, ErrDisabled
	}
	newest, err := s.journal.Newest(ctx)
	if err != nil {
		return 0, fmt.Errorf("webhook: reading events: %w", err)
	}
	for place := uint64(0); place < newest; {
		entries, err := s.entriesAfter(ctx, place)
		if err != nil {
			return count, err
		}
		if len(entries) == 0 {
			break // the newest ones are gone
		}
		for _, entry := range entries {
			place = entry.Sequence
			if entry.At.Before(since) || place > newest {
				continue
			}
			recovered, err := s.recoverOne(ctx, sub, entry)
			if err != nil {
				return count, err
			}
			if recovered {
				count++
			}
		}
	}
	return count, nil
}

func (s *Service) entriesAfter(ctx context.Context, place uint64) ([]store.Entry, error) {
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	entries, err := s.journal.After(soon, place, 256)
	if err != nil {
		return nil, fmt.Errorf("webhook: reading events: %w", err)
	}
	return entries, context.Cause(ctx)
}

func (s *Service) recoverOne(ctx context.Context, sub *subscription, entry store.Entry) (bool, error) {
	e, err := readEvent(entry)
	if err != nil || !sub.covers(e) {
		return false, nil
	}
	d, err := s.readDelivery(ctx, s.deliveryKey(sub.ID, e))
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return false, fmt.Errorf("webhook: reading a delivery: %w", err)
	case err != nil || d.Place < e.place:
		// Never tried, or about to be: then this adds nothing.
		return true, s.enqueue(ctx, sub, e, 0)
	case d.State == StateDead:
		return true, s.redeliver(ctx, sub, e, d)
	}
	return false, nil
}

// Stats returns what there is to know at a glance.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	var st Stats
	s.registry.count(&st)
	for _, l := range s.lanes.list() {
		underWay, open := l.state()
		st.Lanes++
		st.AttemptsUnderWay += underWay
		if open {
			st.OpenLanes++
		}
	}
	st.Dead = s.deadCount()
	var err error
	if st.BacklogNow, st.BacklogLater, err = s.queue.Waiting(ctx, ""); err != nil {
		return st, fmt.Errorf("webhook: counting deliveries: %w", err)
	}
	return st, nil
}
