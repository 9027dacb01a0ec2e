package upstream

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// slots bounds the requests in flight. Polls may use all of them; what passes
// through leaves a quarter free, so that slow uploads never keep polls waiting.
type slots struct {
	all, forwards *semaphore.Weighted
	rate          *rate.Limiter
}

// queueing is how long a request waits for a slot before it counts as overload.
const queueing = 2 * time.Second

func newSlots(cfg Config) *slots {
	n := int64(cfg.MaxInflight)
	limit, burst := rate.Inf, 1
	if cfg.Rate > 0 {
		limit, burst = rate.Limit(cfg.Rate), max(1, int(cfg.Rate/10))
	}
	return &slots{
		all:      semaphore.NewWeighted(n),
		forwards: semaphore.NewWeighted(max(1, n-n/4)),
		rate:     rate.NewLimiter(limit, burst),
	}
}

// forPoll waits for a slot and for the rate limit, no longer than ctx and than
// queueing. The error is the cause of ctx, or a Failure.
func (s *slots) forPoll(ctx context.Context) (release func(), err error) {
	if s.rate.Limit() != rate.Inf {
		limited, cancel := context.WithTimeout(ctx, queueing)
		defer cancel()
		if err := s.rate.Wait(limited); err != nil {
			return nil, overload(ctx, err)
		}
	}
	if err := take(ctx, s.all); err != nil {
		return nil, err
	}
	return s.freePoll, nil
}

// forForward waits for a slot, likewise. If the error is nil, the caller must call
// freeForward.
func (s *slots) forForward(ctx context.Context) error {
	if err := take(ctx, s.forwards); err != nil {
		return err
	}
	if err := take(ctx, s.all); err != nil {
		s.forwards.Release(1)
		return err
	}
	return nil
}

func (s *slots) freePoll() { s.all.Release(1) }

func (s *slots) freeForward() {
	s.all.Release(1)
	s.forwards.Release(1)
}

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
