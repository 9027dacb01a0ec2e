package main

import (
	"context"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/store"
)

// answers are the final answers that are stored, and those that could not be yet.
type answers struct {
	store  *store.Store
	finals *store.Finals
	unkept *cache.Unkept
}

func (b *bridge) answers() answers { return answers{b.store, b.finals, &b.unkept} }

// Of returns the final answer of a session that was made at a time, see store.Finals. What is
// only in memory comes first, or what is stored meanwhile would be missed.
func (a answers) Of(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error) {
	isOf := func(v *session.Variant) bool { return a.store.SessionID(v) == sessionID }
	if o := a.unkept.MadeAt(at, isOf); o != nil {
		return o, nil
	}
	return a.finals.Of(ctx, sessionID, at)
}
