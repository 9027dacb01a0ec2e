package upstream

import (
	"errors"

	"pollbridge/session"
	"pollbridge/tracing"
)

// begin begins the span of asking about v, as a part of its poll's.
func (c *Client) begin(poll *tracing.Span, v *session.Variant) *tracing.Span {
	if c.tracer == nil {
		return nil
	}
	return c.tracer.Exchange(poll.Context(), v.Endpoint.Method, v.Endpoint.Template(v.Locale), c.peer)
}

// trace begins the span of an exchange, and has the upstream be part of it and of nothing else.
func (x *exchange) trace(c *Client) {
	if c.tracer == nil {
		return
	}
	x.span = c.tracer.Exchange(tracing.In(x.ctx).Context(), x.request.Method, "", c.peer)
	header := x.request.Header.Clone()
	header.Del(tracing.HeaderParent)
	header.Del(tracing.HeaderState)
	x.span.Context().Write(header.Set)
	x.request.Header = header
}

// failureOf is why a request got no answer, or not a whole one, for its span.
func failureOf(err error) string {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return string(failure.Reason)
	}
	return "client" // which has left, or whose body could not be read
}
