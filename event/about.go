package event

import (
	"context"
	"errors"

	"pollbridge/store"
)

// About returns the events about a key, the oldest first, as far as they are kept.
func (l *Log) About(ctx context.Context, key string) (all []*Event, err error) {
	last, err := l.Last(ctx, key)
	if err != nil || last.Position == 0 {
		return nil, err
	}
	for _, position := range last.Positions {
		e, err := l.Get(ctx, position)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			all = append(all, e)
		}
	}
	return append(all, last), nil
}
