// Package period is for what lasts until it ends for a reason, and may begin again.
package period

import (
	"context"
	"sync/atomic"
)

// Period is the time since something began, until it ends. Its zero value has not begun;
// Begin is called before anything else. It is safe for concurrent use.
type Period struct{ now atomic.Pointer[span] }

type span struct {
	context.Context
	end context.CancelCauseFunc
}

// Begin begins a new period.
func (p *Period) Begin() {
	ctx, end := context.WithCancelCause(context.Background())
	p.now.Store(&span{ctx, end})
}

// End ends the period that lasts. Only the first reason counts.
func (p *Period) End(reason error) { p.now.Load().end(reason) }

// Context returns a context that lasts as long as the period that was the last to begin; its
// cause is why that has ended.
func (p *Period) Context() context.Context { return p.now.Load() }

// Err is why the period has ended, or nil.
func (p *Period) Err() error { return context.Cause(p.now.Load()) }
