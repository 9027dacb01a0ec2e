package proxy

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/tracing"

	"github.com/gofiber/fiber/v2"
)

// outcome is what came of a request, for its line in the log.
type outcome struct {
	how   cache.How // 0 unless it was a status request that got an answer
	state session.State
	err   error // why the upstream gave no answer
	cors  cors  // what a page that asks may read
}

// handle answers every request. The order is the behaviour.
func (s *Server) handle(c *fiber.Ctx) error {
	header := &c.Request().Header
	conn := connOf(c)
	conn.unread.Store(false)
	defer conn.held.Store(true)
	conn.seen.follow(header.RawHeaders(), header.ContentLength() == -1)
	h, err := readHead(header)
	id := identify(c, h)
	span := s.begin(c, h)
	to, malformed := readTarget(header.RequestURI())
	err = cmp.Or(refuseMethods(header), err, malformed)
	var came outcome
	if err == nil {
		came, err = s.dispatch(c, h, to, span)
	}
	if err != nil {
		came.err = err
		c.Response().Reset() // it may have begun to be another one
		c.Response().Header.SetBytesV(headerRequestID, id)
		s.writeError(c, err)
	}
	came.cors.apply(&c.Response().Header)
	s.logAccess(c, to, came, span)
	s.end(c, to, came, span)
	return nil
}

// dispatch tells status requests from everything else. A panic becomes an error:
// the HTTP engine would let it end the process.
func (s *Server) dispatch(c *fiber.Ctx, h head, to target, span *tracing.Span) (came outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.options.Log.Error("panic while answering a request", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	header := &c.Request().Header
	if match, ok := s.options.Table.Match(header.Method(), to.path); ok {
		return s.status(c, h, match, to, span)
	}
	start, err := s.started(c, h, to, span)
	if err != nil {
		return outcome{}, err
	}
	return outcome{}, s.forward(c, to, nil, start, span)
}
