package webhook

import (
	"context"
	"errors"
	"time"

	"pollbridge/event"
)

// Events returns up to limit events that follow a cursor, in their order, and the
// cursor to go on from. An empty cursor is the beginning. Where there is no event it
// waits for one, no longer than wait, and then returns none. The error is a
// *FieldError where the cursor is none, and an *event.GoneError where events after it may
// be missing.
func (s *Service) Events(ctx context.Context, after string, limit int, wait time.Duration) (page []Event, next string, err error) {
	events, next, err := s.events.Read(ctx, after, limit, wait)
	if errors.Is(err, event.ErrCursor) {
		err = cursorError("after")
	}
	for _, e := range events {
		page = append(page, Event{ID: e.ID, Cursor: s.events.CursorOf(e), Type: e.Type, Subject: e.Key, Payload: e.Payload})
	}
	return page, next, err
}

// NewestEvent returns the cursor of the newest event, to hear only what follows.
func (s *Service) NewestEvent(ctx context.Context) (string, error) {
	return s.events.Latest(ctx)
}

func cursorError(field string) error {
	return &FieldError{Field: field, Problem: "must be a cursor that the API returned"}
}
