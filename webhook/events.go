package webhook

import (
	"context"
	"errors"
	"time"

	"pollbridge/event"
	"pollbridge/store"
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
		page = append(page, s.shown(e))
	}
	return page, next, err
}

// EventsOf returns the events of a session, the oldest first, as far as they are kept.
func (s *Service) EventsOf(ctx context.Context, sessionID string) ([]Event, error) {
	if !store.IsID(sessionID) {
		return nil, nil
	}
	found, err := s.events.About(ctx, sessionID)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(found))
	for i, e := range found {
		events[i] = s.shown(e)
	}
	return events, nil
}

func (s *Service) shown(e *event.Event) Event {
	return Event{ID: e.ID, Cursor: s.events.CursorOf(e), Type: e.Type, Subject: e.Key, Payload: e.Payload}
}

// NewestEvent returns the cursor of the newest event, to hear only what follows.
func (s *Service) NewestEvent(ctx context.Context) (string, error) {
	return s.events.Latest(ctx)
}

func cursorError(field string) error {
	return &FieldError{Field: field, Problem: "must be a cursor that the API returned"}
}
