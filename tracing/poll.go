package tracing

import (
	"net/url"
	"strconv"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Poll begins the span of what is done so that everybody who asks about a session of an endpoint
// learns the newest. from is who asked first; whoever waits along is linked.
func (t *Tracer) Poll(from *SpanContext, endpoint string) *Span {
	if t == nil {
		return nil
	}
	return t.start(from, "poll "+endpoint, trace.WithAttributes(endpointKey.String(endpoint)))
}

// Waited says how many requests have waited for a poll.
func (s *Span) Waited(requests int) {
	if s.Recorded() {
		s.set(requestsKey.Int(requests))
	}
}

// Outcome says what came of asking the upstream, as the metrics do.
func (s *Span) Outcome(outcome string, failed bool) {
	if !s.Recorded() {
		return
	}
	s.set(outcomeKey.String(outcome))
	if failed {
		s.Failed(outcome)
	}
}

// Peer is whom a request is sent to.
type Peer struct {
	Scheme, Host string
	Port         int
}

// PeerOf is whom a URL names.
func PeerOf(u *url.URL) Peer {
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	return Peer{u.Scheme, u.Hostname(), port}
}

// Exchange begins the span of a request that is sent to the upstream. template is its path without
// token, and without what the upstream's URL has before it; empty: it is not known.
func (t *Tracer) Exchange(from *SpanContext, sent, template string, to Peer) *Span {
	if t == nil {
		return nil
	}
	s := t.send(from, sent, template, to)
	if template != "" {
		s.set(semconv.URLTemplate(template))
	}
	return s
}

// send begins the span of a request that is sent.
func (t *Tracer) send(from *SpanContext, sent, template string, to Peer) *Span {
	said, name := method(sent)
	if template != "" {
		name += " " + template
	}
	return t.start(from, name, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(said, semconv.URLScheme(to.Scheme), semconv.ServerAddress(to.Host), semconv.ServerPort(to.Port)))
}

// Turn begins the span of a watch that asks about its session, so late. begun is what it was that
// began the watch.
func (t *Tracer) Turn(begun *SpanContext, endpoint, sessionID string, lag time.Duration) *Span {
	if t == nil {
		return nil
	}
	s := t.start(nil, "watch "+endpoint, trace.WithAttributes(endpointKey.String(endpoint)))
	s.set(sessionKey.String(sessionID), lagKey.Float64(lag.Seconds()))
	s.Link(begun)
	return s
}

// State says in which state a session was seen.
func (s *Span) State(state string) {
	if s.Recorded() {
		s.set(stateKey.String(state))
	}
}
