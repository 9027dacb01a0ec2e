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

// forPoll waits for a slot and for the rate limit.
func (s *slots) forPoll(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	if err := s.rate.Wait(ctx); err != nil {
		return nil, notSent(Overload, 0, err)
	}
	return take(ctx, s.all)
}

func (s *slots) forForward(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	own, err := take(ctx, s.forwards)
	if err != nil {
		return nil, err
	}
	shared, err := take(ctx, s.all)
	if err != nil {
		own()
		return nil, err
	}
	return func() { shared(); own() }, nil
}

func take(ctx context.Context, s *semaphore.Weighted) (release func(), err error) {
	if !s.TryAcquire(1) {
		if err := s.Acquire(ctx, 1); err != nil {
			return nil, notSent(Overload, 0, err)
		}
	}
	return func() { s.Release(1) }, nil
}
