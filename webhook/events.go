package webhook

import (
	"context"
	"errors"
	"strconv"
	"time"

	"pollbridge/event"
)

// Changed records a change of state, see event.Log: whoever is attached to the session is let
// go in order.
func (s *Service) Changed(ctx context.Context, c event.Change) (recorded bool, err error) {
	ending := s.endings.of(c.Session)
	ending.RLock()
	recorded, err = s.events.Record(ctx, c)
	ending.RUnlock()
	if err == nil && (c.Type == event.TypeNotFound || c.Type == event.TypeAbandoned) {
		s.givenUp(ctx, c.Session, recorded)
	}
	return recorded, err
}

// Knows reports whether there are events of a session.
func (s *Service) Knows(ctx context.Context, sessionID string) (bool, error) {
	return s.events.Knows(ctx, sessionID)
}

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

// cursor is where a list of deliveries goes on.
func cursor(revision uint64) string { return strconv.FormatUint(revision, 10) }

func readCursor(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	return strconv.ParseUint(text, 10, 63)
}
