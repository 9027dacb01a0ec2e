package upstream

import (
	"context"
	"time"
)

// inflight bounds the requests in flight. A quarter of them are for polls alone, so that
// slow uploads never keep polls waiting; the others are for whoever comes.
type inflight struct {
	common, reserved chan struct{} // hold what is free; reserved is nil if there are too few to share
}

// queueing is how long a request waits to be sent before it counts as overload.
const queueing = 2 * time.Second

func newInflight(most int) *inflight {
	f := &inflight{common: filled(most - most/4)}
	if most/4 > 0 {
		f.reserved = filled(most / 4)
	}
	return f
}

func filled(n int) chan struct{} {
	free := make(chan struct{}, n)
	for range n {
		free <- struct{}{}
	}
	return free
}

// poll waits until a poll may be sent, no longer than ctx and than queueing. The error is
// the cause of ctx, or a Failure; if it is nil, the caller must call release.
func (f *inflight) poll(ctx context.Context) (release func(), err error) {
	return f.wait(ctx, f.reserved)
}

// forward waits likewise until another request may be sent.
func (f *inflight) forward(ctx context.Context) (release func(), err error) {
	return f.wait(ctx, nil)
}

func (f *inflight) wait(ctx context.Context, reserved chan struct{}) (release func(), err error) {
	releaseReserved, releaseCommon := func() { reserved <- struct{}{} }, func() { f.common <- struct{}{} }
	select {
	case <-reserved: // first, to leave the others to whoever needs them
		return releaseReserved, nil
	default:
	}
	select {
	case <-f.common:
		return releaseCommon, nil
	default:
	}
	limited, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	select {
	case <-reserved:
		return releaseReserved, nil
	case <-f.common:
		return releaseCommon, nil
	case <-limited.Done():
		return nil, overload(ctx, limited.Err())
	}
}

// overload tells a caller that left from one that was not let in.
func overload(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return notSent(Overload, 0, err)
}
