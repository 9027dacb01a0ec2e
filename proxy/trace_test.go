package proxy_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
	"pollbridge/tracing"
)

// startTraced starts a bridge whose spans are recorded.
func startTraced(t *testing.T, upstreamURL string, changes ...func(*bridge.Settings)) (*bridge.Bridge, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	tracer := tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	return bridge.Start(t, upstreamURL, append(changes, func(s *bridge.Settings) { s.Tracer = tracer })...), spans
}

// ofKind waits for n spans of a kind to end.
func ofKind(t *testing.T, spans *tracetest.SpanRecorder, kind trace.SpanKind, n int) (found []sdk.ReadOnlySpan) {
	t.Helper()
	testkit.Eventually(t, "the spans end", func() bool {
		found = slices.DeleteFunc(spans.Ended(), func(s sdk.ReadOnlySpan) bool { return s.SpanKind() != kind })
		return len(found) >= n
	})
	return found
}

// TestStreamsEndWhenTheyWereSent: the spans of what passes through, towards the client and towards
// the upstream, end with the body and not with the head.
func TestStreamsEndWhenTheyWereSent(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		more := make(chan struct{})
		upstream := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			io.WriteString(w, "begin")
			http.NewResponseController(w).Flush()
			<-more
			io.WriteString(w, "end")
		})
		b, spans := startTraced(t, upstream.URL)
		conn := b.Dial()
		io.WriteString(conn, "GET /document/7 "+version+"\r\nHost: h\r\nConnection: close\r\n\r\n")
		read := make([]byte, 0, 4096)
		for !strings.Contains(string(read), "begin") {
			n, err := conn.Read(read[len(read):cap(read)])
			testkit.NoError(t, err)
			read = read[:len(read)+n]
		}
		if n := len(spans.Ended()); n != 0 {
			t.Errorf("%s: %d spans have ended while the body is sent", version, n)
		}
		close(more)
		rest, err := io.ReadAll(conn)
		testkit.NoError(t, err)
		if !strings.Contains(string(rest), "end") {
			t.Errorf("%s: the body ends with %q", version, rest)
		}
		request, sent := ofKind(t, spans, trace.SpanKindServer, 1), ofKind(t, spans, trace.SpanKindClient, 1)
		if request[0].Name() != "GET" || sent[0].Parent().SpanID() != request[0].SpanContext().SpanID() ||
			!slices.Contains(request[0].Attributes(), attribute.Int("http.response.status_code", 200)) {
			t.Errorf("%s: the spans are %s %v and %s", version, request[0].Name(), request[0].Attributes(), sent[0].Name())
		}
	}
}

// TestFailuresInSpans: the reason is that of the log, and not a text.
func TestFailuresInSpans(t *testing.T) {
	b, spans := startTraced(t, "http://127.0.0.1:9")
	b.Poll("tok1tok2tok3Z99Z", "sesame-1")
	testkit.Do(t, "GET", b.URL+"/other", "")
	for _, s := range slices.Concat(ofKind(t, spans, trace.SpanKindServer, 2), ofKind(t, spans, trace.SpanKindClient, 2), ofKind(t, spans, trace.SpanKindInternal, 1)) {
		if s.Status().Code != codes.Error || s.Status().Description != "" || !slices.Contains(s.Attributes(), attribute.String("error.type", "connection")) {
			t.Errorf("the span %s has the status %+v and says %v", s.Name(), s.Status(), s.Attributes())
		}
	}
}

// TestHeldRequestsTellTheirPoll: the one that has ended the wait.
func TestHeldRequestsTellTheirPoll(t *testing.T) {
	ended := make(chan struct{})
	upstream := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		select {
		case <-ended:
			testkit.Respond(w, 200, `{"status":"ok"}`)
		default:
			testkit.Respond(w, 200, testkit.Waiting)
		}
	})
	b, spans := startTraced(t, upstream.URL)
	answer := make(chan testkit.Answer)
	go func() { answer <- b.Poll("tok1tok2tok3Z99Z", "sesame-1", "Prefer: wait=50") }()
	testkit.Eventually(t, "the session is pending", func() bool { return upstream.Count() > 0 })
	close(ended)
	if a := <-answer; a.Body != `{"status":"ok"}` {
		t.Errorf("the held request got %q", a.Body)
	}
	request := ofKind(t, spans, trace.SpanKindServer, 1)[0]
	last := request.Links()[len(request.Links())-1].SpanContext.SpanID()
	for _, s := range ofKind(t, spans, trace.SpanKindInternal, 1) {
		if s.SpanContext().SpanID() == last && slices.Contains(s.Attributes(), attribute.String("pollbridge.state", "succeeded")) {
			return
		}
	}
	t.Errorf("the request is linked to %v; want the poll that has seen the end at last", request.Links())
}

// TestTwoParentsAreNone: who sends the field twice says nothing that can be relied on.
func TestTwoParentsAreNone(t *testing.T) {
	upstream := testkit.NewUpstream(t, nil)
	b, _ := startTraced(t, upstream.URL)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, fields := range [][]string{{"traceparent: " + parent, "traceparent: " + parent}, {"traceparent: sesame", "tracestate: a=sesame"}} {
		testkit.Do(t, "GET", b.URL+"/other", "", fields...)
		header := upstream.Last(t).Header
		if got := header.Values("traceparent"); len(got) != 1 || strings.Contains(got[0], "0af7651916cd43dd") || header.Get("tracestate") != "" {
			t.Errorf("%v is passed on as %v, %q", fields, got, header.Get("tracestate"))
		}
	}
}
