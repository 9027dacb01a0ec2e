package upstream

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// slots bounds the requests in flight. A quarter of them are for polls alone, so that
// slow uploads never keep polls waiting; the others are for whoever comes.
type slots struct {
	common, reserved *semaphore.Weighted // reserved is nil if there are too few to share
	rate             *rate.Limiter
}

// queueing is how long a request waits for a slot before it counts as overload.
const queueing = 2 * time.Second

func newSlots(cfg Config) *slots {
	n := int64(cfg.MaxInflight)
	limit, burst := rate.Inf, 1
	if cfg.Rate > 0 {
		limit, burst = rate.Limit(cfg.Rate), max(1, int(cfg.Rate/10))
	}
	s := &slots{common: semaphore.NewWeighted(n - n/4), rate: rate.NewLimiter(limit, burst)}
	if n/4 > 0 {
		s.reserved = semaphore.NewWeighted(n / 4)
	}
	return s
}

// forPoll waits for a slot and for the rate limit, no longer than ctx and than
// queueing. The error is the cause of ctx, or a Failure; only if it is nil is there
// something to release.
func (s *slots) forPoll(ctx context.Context) (release func(), err error) {
	if s.rate.Limit() != rate.Inf {
		limited, cancel := context.WithTimeout(ctx, queueing)
		defer cancel()
		if err := s.rate.Wait(limited); err != nil {
			return nil, overload(ctx, err)
		}
	}
	if s.reserved != nil {
		if s.reserved.TryAcquire(1) {
			return s.freeReserved, nil
		}
		if !s.common.TryAcquire(1) { // wait where no upload can be in the way
			return s.freeReserved, take(ctx, s.reserved)
		}
		return s.freeForward, nil
	}
	return s.freeForward, take(ctx, s.common)
}

// forForward waits for a slot, likewise. If the error is nil, the caller must call
// freeForward.
func (s *slots) forForward(ctx context.Context) error { return take(ctx, s.common) }

func (s *slots) freeForward()  { s.common.Release(1) }
func (s *slots) freeReserved() { s.reserved.Release(1) }

func take(ctx context.Context, s *semaphore.Weighted) error {
	if s.TryAcquire(1) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	if err := s.Acquire(limited, 1); err != nil {
		return overload(ctx, err)
	}
	return nil
}

// overload tells a caller that left from one that was not let in.
func overload(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return notSent(Overload, 0, err)
}
