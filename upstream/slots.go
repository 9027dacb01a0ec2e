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

// forPoll waits for a slot and for the rate limit, no longer than parent and than
// queueing. Errors are those of take.
func (s *slots) forPoll(parent context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(parent, queueing)
	defer cancel()
	if err := s.rate.Wait(ctx); err != nil {
		return nil, overload(parent, err)
	}
	return take(ctx, parent, s.all)
}

// forForward waits for a slot, likewise.
func (s *slots) forForward(parent context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(parent, queueing)
	defer cancel()
	own, err := take(ctx, parent, s.forwards)
	if err != nil {
		return nil, err
	}
	shared, err := take(ctx, parent, s.all)
	if err != nil {
		own()
		return nil, err
	}
	return func() { shared(); own() }, nil
}

func take(ctx, parent context.Context, s *semaphore.Weighted) (release func(), err error) {
	if !s.TryAcquire(1) {
		if err := s.Acquire(ctx, 1); err != nil {
			return nil, overload(parent, err)
		}
	}
	return func() { s.Release(1) }, nil
}

// overload tells a caller that left from one that was not let in.
func overload(parent context.Context, err error) error {
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	return notSent(Overload, 0, err)
}
