package proxy

import (
	"context"
	"errors"
	"net/http"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/upstream"

	"github.com/gofiber/fiber/v2"
)

// begin begins the span of a request, as part of what the client says it is part of.
func (s *Server) begin(c *fiber.Ctx, h head) *tracing.Span {
	if s.options.Tracer == nil {
		return nil
	}
	header := &c.Request().Header
	var from *tracing.SpanContext
	if h.trace && len(header.PeekAll(tracing.HeaderParent)) == 1 {
		from = tracing.ReadSpanContext(string(header.Peek(tracing.HeaderParent)), joined(header.PeekAll(tracing.HeaderState)))
	}
	return s.options.Tracer.Request(from, string(header.Method()), scheme(c), c.Context().Time())
}

// routed says in the span of a request for which endpoint it is.
func routed(span *tracing.Span, c *fiber.Ctx, match session.Match) {
	if span.Recorded() {
		span.Route(string(c.Request().Header.Method()), match.Endpoint.Template(match.Locale), match.Endpoint.Name)
	}
}

// asking is the context in which a status request asks the cache.
func (s *Server) asking(r *statusRequest) context.Context { return tracing.With(s.serving, r.span) }

// answered says in the span of a status request how that was answered, and which poll has brought
// the answer. Whoever waited for one has said so before.
func answered(span *tracing.Span, result cache.Result) {
	span.Result(result.How.String(), result.State.String())
	if result.How == cache.Hit || result.How == cache.Stale {
		span.Link(result.Poll)
	}
}

// end ends the span of a request that was handled. One whose answer streams ends when that was
// sent.
func (s *Server) end(c *fiber.Ctx, to target, came outcome, span *tracing.Span) {
	if span == nil {
		return
	}
	status := c.Response().StatusCode()
	if span.Recorded() {
		span.Masked(s.masked(to.path), string(c.Response().Header.PeekBytes(requestIDKey)))
		span.Status(status)
	}
	if failure, ok := errors.AsType[*upstream.Failure](came.err); ok && status >= http.StatusInternalServerError {
		span.Failed(string(failure.Reason))
	}
	if !c.Response().IsBodyStream() && !c.Context().Hijacked() {
		span.End()
	}
}
