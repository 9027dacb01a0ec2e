package main

import (
	"context"
	"errors"
	"time"

	"pollbridge/cache"
	"pollbridge/finals"
	"pollbridge/session"
	"pollbridge/store"
)

// answers are the final answers that are stored, and those that could not be yet.
type answers struct {
	store  *store.Store
	finals *finals.Finals
	unkept *cache.Unkept
	// elsewhere finds those that another replica could not store yet; nil: there are no others.
	elsewhere func(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error)
	retain    time.Duration // after which there are none
}

func (b *bridge) answers() answers {
	a := answers{store: b.store, finals: b.finals, unkept: &b.unkept, retain: b.cfg.Store.Data.Retain}
	if b.fleet != nil {
		a.elsewhere = func(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error) {
			return b.door.UnkeptElsewhere(ctx, sessionID, at)
		}
	}
	return a
}

// Of returns the final answer of a session that was made at a time, or closest to it, see package
// finals. Memory is looked at first, or what is stored meanwhile would be missed.
func (a answers) Of(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error) {
	unkept, _ := a.unkept.Closest(at, func(v *session.Variant) bool { return session.ID(a.store, v) == sessionID })
	if unkept != nil && unkept.At.Equal(at) {
		return unkept, nil
	}
	o, err := a.finals.Of(ctx, sessionID, at)
	switch {
	case unkept == nil:
	case errors.Is(err, store.ErrNotFound), err == nil && unkept.At.Sub(at).Abs() < o.At.Sub(at).Abs():
		return unkept, nil
	}
	if !errors.Is(err, store.ErrNotFound) || a.elsewhere == nil || time.Since(at) > a.retain {
		return o, err
	}
	if o, err = a.elsewhere(ctx, sessionID, at); errors.Is(err, store.ErrNotFound) {
		return a.finals.Of(ctx, sessionID, at) // it may have been stored just now
	}
	return o, err
}
