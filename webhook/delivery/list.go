package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"pollbridge/store"
)

// List returns up to limit deliveries, those that changed last first. before is
// what the page before returned as next, or empty. next is empty at the end; a page
// may be shorter than limit, even empty, and yet not the last. A delivery is listed
// once something has happened to it, and otherwise after three seconds or four. The error is
// ErrCursor where before cannot be used.
func (s *Service) List(ctx context.Context, f Filter, before string, limit int) (page []Delivery, next string, err error) {
	match := ">"
	if f.Subscription != "" || f.Session != "" {
		match = cmp.Or(f.Subscription, "*") + "." + cmp.Or(f.Session, "*") + ".*"
	}
	revision, err := readCursor(before)
	if err != nil {
		return nil, "", ErrCursor
	}
	bucket, read := s.records.bucket, readDelivery
	if f.State == Dead { // they are listed on their own: there are few among many
		bucket, read = s.records.dead, func(r store.Record) (*delivery, error) { return s.records.get(ctx, r.Key) }
	}
	const mostPages = 8 // read for one page of the answer, where a state is rare
	for range mostPages {
		records, err := bucket.List(ctx, match, revision, max(limit, 1))
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
				if f.State == "" || d.State == f.State {
					page = append(page, d.Delivery)
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

// Get returns a delivery, or ErrNotFound.
func (s *Service) Get(ctx context.Context, id string) (Delivery, error) {
	d, err := s.records.find(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	return d.Delivery, nil
}
