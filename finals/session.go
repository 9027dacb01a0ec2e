package finals

import (
	"context"
	"errors"
	"time"

	"pollbridge/session"
	"pollbridge/store"
)

// Of returns the final answer of a session that was made at a time, whatever was asked, or
// else the one that was made closest to it: of two with one body the first is given up. Its
// Locale says nothing. The error is store.ErrNotFound where there is none, or none that can be
// read.
func (f *Finals) Of(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error) {
	var found *store.Stored
	var is session.Written
	err := f.bodies.Each(ctx, sessionID, ">", func(stored *store.Stored) (bool, error) {
		written, err := f.read(stored)
		if err == nil && !f.isOver(written) && (found == nil || written.At.Sub(at).Abs() < is.At.Sub(at).Abs()) {
			found, is = stored, written
		}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, store.ErrNotFound
	}
	body, err := f.bodies.Body(ctx, found)
	if errors.Is(err, store.ErrDamaged) {
		f.bodies.TellUnreadable(found, err)
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return is.Observation(0, body), nil
}
