package testkit

import (
	"context"
	"time"
)

// AlmostOver returns ctx with a deadline that is a second away at any time, so that it never comes.
func AlmostOver(ctx context.Context) context.Context { return almostOver{ctx} }

type almostOver struct{ context.Context }

func (almostOver) Deadline() (time.Time, bool) { return time.Now().Add(time.Second), true }
