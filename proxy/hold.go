package proxy

import (
	"context"
	"time"

	"pollbridge/cache"
	"pollbridge/session"

	"github.com/gofiber/fiber/v2"
)

// hold answers at once unless the state is pending; then it waits for another one,
// but no longer than the client wants to, and than the server runs.
func (s *Server) hold(c *fiber.Ctx, v *session.Variant, wait time.Duration) (cache.Result, error) {
	// Held before asked: no change can fall between the two.
	hold := s.holder.Hold(v)
	defer hold.Release()
	result, err := s.statuses.Get(s.serving, v)
	if err != nil || result.State != session.Pending {
		return result, err
	}
	ctx, leave := context.WithTimeout(s.running, wait)
	defer leave()
	defer seatOf(c).watch(leave).stop()
	for {
		select {
		case <-hold.News():
		case <-ctx.Done():
			// A client that has left may have closed its own half only.
			if known, ok := s.statuses.Known(v); ok {
				return known, nil
			}
			return result, nil
		}
		result, err = s.statuses.Get(s.serving, v)
		if err != nil || result.State != session.Pending {
			return result, err
		}
	}
}
