package proxy

import (
	"context"

	"pollbridge/cache"
	"pollbridge/session"

	"github.com/gofiber/fiber/v2"
)

// hold answers at once unless the state is pending; then it waits for another one,
// but no longer than the client wants to, counted from when its request was received,
// and than the server runs.
func (s *Server) hold(c *fiber.Ctx, r *statusRequest, v *session.Variant) (cache.Result, error) {
	// Held before asked: no change can fall between the two.
	hold := s.options.Holder.Hold(v)
	defer hold.Release()
	if allowed := s.corsOf(r, v); allowed.known || !allowed.asked {
		if known, ok := s.options.Statuses.Known(v); ok && known.State == session.Pending {
			return s.wait(c, r, v, hold.News())
		}
	}
	result, err := s.options.Statuses.GetFor(s.asking(r), v, r.origin)
	if err != nil || result.State != session.Pending {
		return result, err
	}
	return s.wait(c, r, v, hold.News())
}

// wait is for a session that was seen pending.
func (s *Server) wait(c *fiber.Ctx, r *statusRequest, v *session.Variant, news <-chan struct{}) (cache.Result, error) {
	ctx, stop := context.WithDeadline(s.running, c.Context().Time().Add(r.wait))
	defer stop()
	defer s.hangups.Watch(c.Context().Conn(), stop)()
	for {
		select {
		case <-news:
		case <-ctx.Done():
			// A client that has left may have closed its own half only.
			if known, ok := s.options.Statuses.Known(v); ok {
				return known, nil
			}
			return s.options.Statuses.GetFor(s.asking(r), v, r.origin)
		}
		result, err := s.options.Statuses.GetFor(s.asking(r), v, r.origin)
		if err != nil || result.State != session.Pending {
			return result, err
		}
	}
}
