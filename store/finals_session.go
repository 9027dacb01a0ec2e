package store

import (
	"context"
	"errors"
	"time"

	"pollbridge/session"
)

// Of returns the final answer of a session that was made at a time, whatever was asked, or
// else the one that was made closest to it: of two with one body the first is given up. Its
// Locale says nothing. The error is ErrNotFound where there is none, or none that can be read.
func (f *Finals) Of(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error) {
	if err := checkTokens(sessionID); err != nil {
		return nil, err
	}
	var found holder
	err := f.messages(ctx, finalsID+".answer."+sessionID+".>", func(m *message) (bool, error) {
		a, err := readAnswer(m.Subject)
		var o *session.Observation
		var size uint64
		if err == nil {
			o, size, err = f.open(a, m, 0)
		}
		switch {
		case err != nil:
			f.tellUnreadable(m.Subject, err)
		case !f.isOver(o) && (found.Observation == nil || o.At.Sub(at).Abs() < found.At.Sub(at).Abs()):
			found = holder{answer: a, Observation: o, size: size}
		}
		return true, nil
	})
	if err == nil && found.Observation == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if err := f.fill(ctx, found.answer, found.Observation, found.size); errors.Is(err, ErrDamaged) {
		f.tellUnreadable(found.subject(), err)
		return nil, ErrNotFound
	} else if err != nil {
		return nil, err
	}
	return found.Observation, nil
}
