package delivery

import (
	"context"
	"errors"
	"fmt"

	"pollbridge/store"
)

// Erase erases the deliveries of a session's events up to a position of the log, with all
// that was kept of the receivers' answers, and what waits of them. The events were erased
// before.
func (s *Service) Erase(ctx context.Context, sessionID string, position uint64) error {
	err := s.records.bucket.EachNow(ctx, "*."+sessionID+".*", func(record store.Record) error {
		return s.eraseOne(ctx, record, position)
	})
	if err != nil {
		return fmt.Errorf("webhook: erasing deliveries: %w", err)
	}
	return nil
}

func (s *Service) eraseOne(ctx context.Context, record store.Record, position uint64) error {
	d, err := readDelivery(record)
	switch {
	case err == nil && d.Position > position:
		return nil // of the same session registered again
	case err == nil && !d.over() && d.Consumer != "":
		if err := s.queue.Remove(ctx, d.Consumer, itemName(d.ID, d.Position, d.Round)); err != nil {
			return err
		}
	}
	err = s.records.bucket.DeleteIf(ctx, record.Key, record.Revision)
	if errors.Is(err, store.ErrConflict) {
		return nil // whoever has written it since sees that the event was erased
	}
	return errors.Join(err, s.records.dead.Delete(ctx, record.Key))
}
