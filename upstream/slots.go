package upstream

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// slots bounds the requests in flight. A quarter of them are for polls alone, so that
// slow uploads never keep polls waiting; the others are for whoever comes.
type slots struct {
	common, reserved chan struct{} // hold what is free; reserved is nil if there are too few to share
	rate             *rate.Limiter
}

// queueing is how long a request waits for a slot before it counts as overload.
const queueing = 2 * time.Second

func newSlots(cfg Config) *slots {
	n := cfg.MaxInflight
	limit, burst := rate.Inf, 1
	if cfg.Rate > 0 {
		limit, burst = rate.Limit(cfg.Rate), max(1, int(cfg.Rate/10))
	}
	s := &slots{common: free(n - n/4), rate: rate.NewLimiter(limit, burst)}
	if n/4 > 0 {
		s.reserved = free(n / 4)
	}
	return s
}

func free(n int) chan struct{} {
	slots := make(chan struct{}, n)
	for range n {
		slots <- struct{}{}
	}
	return slots
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
	select {
	case <-s.reserved: // first, to leave the others to whoever needs them
		return s.freeReserved, nil
	default:
	}
	select {
	case <-s.common:
		return s.freeForward, nil
	default:
	}
	limited, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	select {
	case <-s.reserved:
		return s.freeReserved, nil
	case <-s.common:
		return s.freeForward, nil
	case <-limited.Done():
		return nil, overload(ctx, limited.Err())
	}
}

// forForward waits for a slot, likewise. If the error is nil, the caller must call
// freeForward.
func (s *slots) forForward(ctx context.Context) error {
	select {
	case <-s.common:
		return nil
	default:
	}
	limited, cancel := context.WithTimeout(ctx, queueing)
	defer cancel()
	select {
	case <-s.common:
		return nil
	case <-limited.Done():
		return overload(ctx, limited.Err())
	}
}

func (s *slots) freeForward()  { s.common <- struct{}{} }
func (s *slots) freeReserved() { s.reserved <- struct{}{} }

// overload tells a caller that left from one that was not let in.
func overload(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return notSent(Overload, 0, err)
}
