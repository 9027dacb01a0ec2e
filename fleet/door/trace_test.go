package door_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"pollbridge/tracing"
)

// TestPollsElsewhereAreOfTheSameTrace: a poll that another replica makes is part of that of the
// replica which asks, and the answer tells which it was.
func TestPollsElsewhereAreOfTheSameTrace(t *testing.T) {
	l := newLab(t)
	spans := tracetest.NewSpanRecorder()
	l.tracer = tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	replicas := l.startAll(2)
	request := l.tracer.Request(nil, "POST", "http", time.Now())
	result, err := replicas[0].statuses.Get(tracing.With(t.Context(), request), l.held(replicas[1]))
	if err != nil {
		t.Fatal(err)
	}
	polls := slices.DeleteFunc(spans.Ended(), func(s sdk.ReadOnlySpan) bool { return s.Name() != "poll smartid-sign" })
	if len(polls) != 2 {
		t.Fatalf("%d spans of polls; want one here and one there", len(polls))
	}
	there, here := polls[0], polls[1] // which ends later
	if !there.Parent().IsRemote() || there.Parent().SpanID() != here.SpanContext().SpanID() || here.SpanContext().TraceID().String() != request.Context().TraceID() {
		t.Errorf("the poll there is part of %v, that here is %v", there.Parent(), here.SpanContext())
	}
	result.Poll.Write(func(_, value string) {
		if !strings.Contains(value, there.SpanContext().SpanID().String()) {
			t.Errorf("the answer is of the poll %s; want %v", value, there.SpanContext())
		}
	})
	if result.Poll == nil {
		t.Error("the answer does not tell of which poll it is")
	}
}
