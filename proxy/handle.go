package proxy

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"pollbridge/cache"
	"pollbridge/session"

	"github.com/gofiber/fiber/v2"
)

// outcome is what came of a request, for its line in the log.
type outcome struct {
	how   cache.How // 0 unless it was a status request that got an answer
	state session.State
	err   error // why the upstream gave no answer
}

// handle answers every request. The order is the behaviour.
func (s *Server) handle(c *fiber.Ctx) error {
	header := &c.Request().Header
	h, err := readHead(header)
	identify(c, h)
	err = cmp.Or(refuseMethods(header), err, refuseUpgrades(header, h))
	var came outcome
	if err == nil {
		came, err = s.dispatch(c, h)
	}
	if err != nil {
		came.err = err
		writeError(c.Context(), public(err))
	}
	s.logAccess(c, came)
	return nil
}

// dispatch tells status requests from everything else. A panic becomes an error:
// the HTTP engine would let it end the process.
func (s *Server) dispatch(c *fiber.Ctx, h head) (came outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic while answering a request", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	header := &c.Request().Header
	path, query := session.SplitTarget(header.RequestURI())
	if match, ok := s.table.Match(header.Method(), path); ok {
		return s.status(c, h, match, query)
	}
	start, err := s.started(c, h, path, query)
	if err != nil {
		return outcome{}, err
	}
	return outcome{}, s.forward(c, nil, start)
}
