package tracing

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The fields of a header that say of which trace a request is (W3C Trace Context).
const (
	HeaderParent = "Traceparent"
	HeaderState  = "Tracestate"
)

// SpanContext says which span something is part of. It is immutable. Nil: none is known.
type SpanContext struct{ of trace.SpanContext }

var w3c propagation.TraceContext

// ReadSpanContext reads the values of [HeaderParent] and [HeaderState]. It returns nil where the
// first one is none, and takes a wrong second one for none.
func ReadSpanContext(parent, state string) *SpanContext {
	if parent == "" {
		return nil
	}
	carrier := propagation.MapCarrier{"traceparent": parent, "tracestate": state}
	of := trace.SpanContextFromContext(w3c.Extract(context.Background(), carrier))
	if !of.IsValid() {
		return nil
	}
	return &SpanContext{of}
}

// Write tells set the fields of a header that have its reader be part of c, none if that is nil.
func (c *SpanContext) Write(set func(name, value string)) {
	if c == nil {
		return
	}
	carrier := propagation.MapCarrier{}
	w3c.Inject(trace.ContextWithSpanContext(context.Background(), c.of), carrier)
	set(HeaderParent, carrier["traceparent"])
	if state := carrier["tracestate"]; state != "" {
		set(HeaderState, state)
	}
}

// Sampled reports whether the span is recorded, as far as that is known.
func (c *SpanContext) Sampled() bool { return c != nil && c.of.IsSampled() }

// TraceID is the id of the trace in hex, or empty.
func (c *SpanContext) TraceID() string {
	if c == nil {
		return ""
	}
	return c.of.TraceID().String()
}

// MarshalText writes the values of the fields, with a space between them.
func (c *SpanContext) MarshalText() ([]byte, error) {
	var values []string
	c.Write(func(_, value string) { values = append(values, value) })
	return []byte(strings.Join(values, " ")), nil
}

var errSpanContext = errors.New("tracing: not the context of a span")

// UnmarshalText reads what MarshalText has written.
func (c *SpanContext) UnmarshalText(text []byte) error {
	parent, state, _ := strings.Cut(string(text), " ")
	read := ReadSpanContext(parent, state)
	if read == nil {
		return errSpanContext
	}
	*c = *read
	return nil
}
