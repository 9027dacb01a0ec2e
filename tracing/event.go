package tracing

import (
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Event begins the span of an event that is recorded: who delivers it is part of that. from is
// what has seen the change.
func (t *Tracer) Event(from *SpanContext, id, kind string) *Span {
	if t == nil {
		return nil
	}
	return t.start(from, "publish events", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingDestinationName("events"), semconv.MessagingOperationName("publish"),
		semconv.MessagingOperationTypeSend, semconv.MessagingMessageID(id), eventTypeKey.String(kind)))
}

// Delivery is what an attempt to deliver an event is about.
type Delivery struct {
	From         *SpanContext // the event
	Type         string       // of the event
	Subscription string       // sub_…
	Delivery     string       // dlv_…; empty: it is none, but a test
	Tries        int          // before this one
}

// Attempt begins the span of one attempt to deliver the event with an id.
func (t *Tracer) Attempt(d Delivery, id string, to Peer) *Span {
	if t == nil {
		return nil
	}
	s := t.send(d.From, "POST", "", to)
	s.set(semconv.MessagingMessageID(id), eventTypeKey.String(d.Type), subscriptionKey.String(d.Subscription))
	if d.Delivery != "" {
		s.set(deliveryKey.String(d.Delivery))
	}
	if d.Tries > 0 {
		s.set(semconv.HTTPRequestResendCount(d.Tries))
	}
	return s
}
