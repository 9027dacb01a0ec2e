package upstream

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// inflight bounds the requests in flight. What passes through may be three quarters of
// them, so that from a bound of four on slow uploads never keep polls waiting.
type inflight struct {
	all, forwards *semaphore.Weighted
}

// queueing is how long a request waits to be sent before it counts as overload.
const queueing = 2 * time.Second

func newInflight(most int) *inflight {
	return &inflight{semaphore.NewWeighted(int64(most)), semaphore.NewWeighted(int64(most - most/4))}
}

// poll waits until a poll may be sent, no longer than ctx and than queueing. The error is
// the cause of ctx, or a Failure; if it is nil, the caller must call release.
func (f *inflight) poll(ctx context.Context) (release func(), err error) {
	return acquire(ctx, f.all)
}

// forward waits likewise, for both of its bounds, until another request may be sent.
func (f *inflight) forward(ctx context.Context) (release func(), err error) {
	return acquire(ctx, f.forwards, f.all)
}

func acquire(ctx context.Context, bounds ...*semaphore.Weighted) (release func(), err error) {
	for i, bound := range bounds {
		if bound.TryAcquire(1) {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, queueing)
		err := bound.Acquire(limited, 1)
		cancel()
		if err != nil {
			releaseAll(bounds[:i])
			return nil, overload(ctx, err)
		}
	}
	return func() { releaseAll(bounds) }, nil
}

func releaseAll(bounds []*semaphore.Weighted) {
	for _, bound := range bounds {
		bound.Release(1)
	}
}

// overload tells a caller that left from one that was not let in.
func overload(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return notSent(Overload, 0, err)
}
