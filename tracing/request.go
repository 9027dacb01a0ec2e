package tracing

import (
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// What only this program says of its spans; the words are those of its metrics.
const (
	endpointKey = attribute.Key("pollbridge.endpoint")
	resultKey   = attribute.Key("pollbridge.result")
	stateKey    = attribute.Key("pollbridge.state")
	requestsKey = attribute.Key("pollbridge.requests")
	outcomeKey  = attribute.Key("pollbridge.outcome")
	sessionKey  = attribute.Key("pollbridge.session.id")
	lagKey      = attribute.Key("pollbridge.watch.lag")

	eventTypeKey    = attribute.Key("pollbridge.event.type")
	subscriptionKey = attribute.Key("pollbridge.subscription.id")
	deliveryKey     = attribute.Key("pollbridge.delivery.id")
)

// methods are those that a span may name.
var methods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}

// method returns what a span says of a method, and how its name begins. One that is not known
// may be anything.
func method(sent string) (said attribute.KeyValue, name string) {
	if !slices.Contains(methods, sent) {
		return semconv.HTTPRequestMethodOther, "HTTP"
	}
	return semconv.HTTPRequestMethodKey.String(sent), sent
}

// Request begins the span of a request that a client has made, at a time. from is what the
// client says it is part of.
func (t *Tracer) Request(from *SpanContext, sent, scheme string, begun time.Time) *Span {
	if t == nil {
		return nil
	}
	said, name := method(sent)
	s := t.start(from, name, trace.WithSpanKind(trace.SpanKindServer), at(begun), trace.WithAttributes(said, semconv.URLScheme(scheme)))
	s.failsFrom = 500
	return s
}

// Route says where a request goes that is for an endpoint: route is a path without any token.
func (s *Span) Route(sent, route, endpoint string) {
	if s.Recorded() {
		_, name := method(sent)
		s.span.SetName(name + " " + route)
		s.set(semconv.HTTPRoute(route), endpointKey.String(endpoint))
	}
}

// Masked says for what path a request is, as it may be shown, and under which id it is in the log.
func (s *Span) Masked(path, requestID string) {
	if s.Recorded() {
		s.set(semconv.URLPath(path), attribute.StringSlice("http.response.header.x-request-id", []string{requestID}))
	}
}

// Result says how a status request was answered, and with what.
func (s *Span) Result(how, state string) {
	if s.Recorded() {
		s.set(resultKey.String(how), stateKey.String(state))
	}
}

// Status says with which status of HTTP a request was answered.
func (s *Span) Status(code int) {
	if !s.Recorded() {
		return
	}
	s.set(semconv.HTTPResponseStatusCode(code))
	if code >= s.failsFrom {
		s.span.SetStatus(codes.Error, "")
		s.set(semconv.ErrorTypeKey.String(strconv.Itoa(code)))
	}
}
