package cache_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/tracing"
)

// recorded returns a tracer, and what records its spans.
func recorded() (*tracing.Tracer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))), spans
}

// named are the spans with a name that have ended.
func named(spans *tracetest.SpanRecorder, name string) []sdk.ReadOnlySpan {
	return slices.DeleteFunc(spans.Ended(), func(s sdk.ReadOnlySpan) bool { return s.Name() != name })
}

// TestWhoWaitsIsLinked: one poll is made for all who wait, and its span has a link to each of
// them; each of them has one to the poll. Who is not recorded is left out, and who comes later
// too.
func TestWhoWaitsIsLinked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 20
		tracer, spans := recorded()
		release := make(chan struct{})
		v := question(t, "token", lt)
		s := newStatuses(t, config(), pollFunc(func(*session.Variant) (*session.Observation, error) {
			<-release
			o := pending()
			o.At = time.Now()
			return o, nil
		}), func(o *cache.Options) { o.Tracer = tracer })
		var asking sync.WaitGroup
		ask := func(span *tracing.Span) {
			asking.Go(func() {
				defer span.End()
				if _, err := s.Get(tracing.With(t.Context(), span), v); err != nil {
					t.Error(err)
				}
			})
		}
		ask(tracer.Request(nil, "POST", "http", time.Now()))
		synctest.Wait() // it is its poll
		first := spans.Started()[0].SpanContext()
		for range clients - 1 {
			ask(tracer.Request(nil, "POST", "http", time.Now()))
		}
		ask(tracer.Request(tracing.ReadSpanContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", ""), "POST", "http", time.Now()))
		ask(nil)
		synctest.Wait()
		close(release)
		asking.Wait()
		ask(tracer.Request(nil, "POST", "http", time.Now())) // a hit
		asking.Wait()

		polls := named(spans, "poll smartid-sign")
		if len(polls) != 1 {
			t.Fatalf("%d spans of polls; want 1", len(polls))
		}
		poll := polls[0]
		if poll.Parent().SpanID() != first.SpanID() {
			t.Errorf("the poll is part of %v; want of who asked first, %v", poll.Parent().SpanID(), first.SpanID())
		}
		if !slices.Contains(poll.Attributes(), attribute.Int("pollbridge.requests", clients+2)) || !slices.Contains(poll.Attributes(), attribute.String("pollbridge.state", "pending")) {
			t.Errorf("the poll says %v; want how many have waited for it, and the state", poll.Attributes())
		}
		linked := map[trace.SpanID]bool{}
		for _, link := range poll.Links() {
			linked[link.SpanContext.SpanID()] = true
		}
		requests := named(spans, "POST")
		waited := 0
		for _, request := range requests {
			links := request.Links()
			switch {
			case len(links) == 0: // the hit
			case len(links) == 1 && links[0].SpanContext.SpanID() == poll.SpanContext().SpanID() && linked[request.SpanContext().SpanID()]:
				waited++
			default:
				t.Errorf("a request has the links %v, and is linked: %v", links, linked[request.SpanContext().SpanID()])
			}
		}
		if waited != clients || len(linked) != clients || len(requests) != clients+1 {
			t.Errorf("of %d requests %d are linked with the poll in both directions, and %d by it; want %d, %d, %d", len(requests), waited, len(linked), clients+1, clients, clients)
		}
	})
}
