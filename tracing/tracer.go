package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes spans. It is safe for concurrent use. Nil makes none.
type Tracer struct{ tracer trace.Tracer }

// New returns a Tracer whose spans p takes.
func New(p trace.TracerProvider) *Tracer { return &Tracer{p.Tracer("pollbridge")} }

// start begins a span, as part of from, or as the first one of a trace where that is nil.
func (t *Tracer) start(from *SpanContext, name string, o ...trace.SpanStartOption) *Span {
	ctx := context.Background()
	if from != nil {
		ctx = trace.ContextWithSpanContext(ctx, from.of)
	}
	_, span := t.tracer.Start(ctx, name, o...)
	return &Span{span: span, context: &SpanContext{span.SpanContext()}, failsFrom: 400}
}

// Span is something that the program does, from its begin to its end. It is safe for
// concurrent use. Nil is none, and takes everything.
type Span struct {
	span      trace.Span
	context   *SpanContext
	failsFrom int // the first status of HTTP that means that it failed
}

// Context returns what others need to be part of the span, or nil.
func (s *Span) Context() *SpanContext {
	if s == nil {
		return nil
	}
	return s.context
}

// Recorded reports whether what the span is told is kept.
func (s *Span) Recorded() bool { return s != nil && s.span.IsRecording() }

// Link says that the span has to do with another one, which may be of another trace. It says
// nothing of one that is not recorded.
func (s *Span) Link(to *SpanContext) {
	if s.Recorded() && to.Sampled() {
		s.span.AddLink(trace.Link{SpanContext: to.of})
	}
}

// Failed says that what the span is about failed, and why, in a word that is known in advance.
func (s *Span) Failed(class string) {
	if s.Recorded() {
		s.span.SetStatus(codes.Error, "")
		s.span.SetAttributes(semconv.ErrorTypeKey.String(class))
	}
}

// End ends the span. What comes later is not part of it; another End changes nothing.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// set is for a span that there is. Who calls it for one that there may not be asks first, or what
// is said would be allocated.
func (s *Span) set(attributes ...attribute.KeyValue) { s.span.SetAttributes(attributes...) }

type inContext struct{}

// With returns a context in which [In] finds a span.
func With(ctx context.Context, s *Span) context.Context {
	if s == nil {
		return ctx
	}
	return context.WithValue(ctx, inContext{}, s)
}

// PartOf is With for a span of which no more is known than its context.
func PartOf(ctx context.Context, c *SpanContext) context.Context {
	if c == nil {
		return ctx
	}
	return With(ctx, &Span{span: trace.SpanFromContext(trace.ContextWithRemoteSpanContext(ctx, c.of)), context: c})
}

// In returns the span that ctx is part of, or nil.
func In(ctx context.Context) *Span {
	s, _ := ctx.Value(inContext{}).(*Span)
	return s
}

// at has a span begin at a time.
func at(t time.Time) trace.SpanStartOption { return trace.WithTimestamp(t) }
