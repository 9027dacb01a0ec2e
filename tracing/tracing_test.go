package tracing_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"pollbridge/tracing"
)

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

func recorded() (*tracing.Tracer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))), spans
}

// everything does with a tracer what can be done.
func everything(t *tracing.Tracer) {
	from := tracing.ReadSpanContext("", "")
	for _, s := range []*tracing.Span{
		t.Request(from, "POST", "http", time.Time{}), t.Poll(from, "e"), t.Exchange(from, "GET", "/{token}", tracing.Peer{}),
		t.Turn(from, "e", "ses_", 0), t.Event(from, "evt_", "session.pending"), t.Attempt(tracing.Delivery{}, "evt_", tracing.Peer{}),
	} {
		s.Route("POST", "/{token}", "e")
		s.Masked("/", "id")
		s.Result("hit", "pending")
		s.Status(500)
		s.Outcome("pending", true)
		s.State("pending")
		s.Waited(1)
		s.Link(s.Context())
		s.Failed("timeout")
		s.Context().Write(func(string, string) { panic("written") })
		s.End()
	}
}

// TestNothingIsFree: without a tracer nothing is made, nor allocated.
func TestNothingIsFree(t *testing.T) {
	ctx := t.Context()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h"})
	if n := testing.AllocsPerRun(100, func() {
		everything(nil)
		if tracing.With(ctx, nil) != ctx || tracing.PartOf(ctx, nil) != ctx || tracing.In(ctx) != nil {
			t.Error("a context has a span that there is not")
		}
		tracing.Observe(h, 1, tracing.In(ctx).Context())
	}); n > 0 {
		t.Errorf("%v allocations; want none", n)
	}
}

func TestSpanContexts(t *testing.T) {
	for _, test := range []struct {
		parent, state string
		want          map[string]string
		recorded      bool
	}{
		{sampled, "", map[string]string{"Traceparent": sampled}, true},
		{sampled, "a=b,c=d", map[string]string{"Traceparent": sampled, "Tracestate": "a=b,c=d"}, true},
		{unsampled, "a=b", map[string]string{"Traceparent": unsampled, "Tracestate": "a=b"}, false},
		{sampled, "=", map[string]string{"Traceparent": sampled}, true},
		{"", "a=b", nil, false},
		{"00-sesame", "", nil, false},
		{strings.ToUpper(sampled), "", nil, false},
		{"ff" + sampled[2:], "", nil, false},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", "", nil, false},
	} {
		c := tracing.ReadSpanContext(test.parent, test.state)
		got := map[string]string{}
		c.Write(func(name, value string) { got[name] = value })
		if len(got) != len(test.want) || got["Traceparent"] != test.want["Traceparent"] || got["Tracestate"] != test.want["Tracestate"] || c.Sampled() != test.recorded {
			t.Errorf("%q, %q is passed on as %v, sampled %v; want %v, %v", test.parent, test.state, got, c.Sampled(), test.want, test.recorded)
		}
		if c == nil {
			continue
		}
		text, err := json.Marshal(c)
		var again *tracing.SpanContext
		if err != nil || json.Unmarshal(text, &again) != nil {
			t.Errorf("%s, %v cannot be read again", text, err)
		}
		again.Write(func(name, value string) {
			if got[name] != value {
				t.Errorf("%s is %q after it was written and read; want %q", name, value, got[name])
			}
		})
	}
}

// TestUnknownMethodsAreNotShown: they may be anything.
func TestUnknownMethodsAreNotShown(t *testing.T) {
	tracer, spans := recorded()
	tracer.Request(nil, "sesame-1", "http", time.Now()).End()
	tracer.Exchange(nil, "sesame-1", "", tracing.Peer{}).End()
	for _, s := range spans.Ended() {
		if s.Name() != "HTTP" || strings.Contains(attributes(s), "sesame") || !strings.Contains(attributes(s), "_OTHER") {
			t.Errorf("a span is called %q and says %s", s.Name(), attributes(s))
		}
	}
}

func attributes(s sdk.ReadOnlySpan) string {
	text, _ := json.Marshal(s.Attributes())
	return string(text)
}

func TestPeers(t *testing.T) {
	for raw, want := range map[string]tracing.Peer{
		"http://a.example":                  {Scheme: "http", Host: "a.example", Port: 80},
		"https://user:sesame@a.example/p?q": {Scheme: "https", Host: "a.example", Port: 443},
		"https://[::1]:8443":                {Scheme: "https", Host: "::1", Port: 8443},
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := tracing.PeerOf(u); got != want {
			t.Errorf("PeerOf(%s) = %+v; want %+v", raw, got, want)
		}
	}
}

// TestFailures: a server fails with 5xx only, a client with 4xx too; the reason is a word.
func TestFailures(t *testing.T) {
	tracer, spans := recorded()
	for status, want := range map[int][2]string{200: {"Unset", "Unset"}, 404: {"Unset", "Error"}, 503: {"Error", "Error"}} {
		for i, s := range []*tracing.Span{tracer.Request(nil, "GET", "http", time.Now()), tracer.Exchange(nil, "GET", "", tracing.Peer{})} {
			s.Status(status)
			s.End()
			ended := spans.Ended()[len(spans.Ended())-1]
			if got := ended.Status().Code.String(); got != want[i] || ended.Status().Description != "" {
				t.Errorf("%v with %d is %s %q; want %s", ended.SpanKind(), status, got, ended.Status().Description, want[i])
			}
		}
	}
}

// TestExemplars: only a span that is recorded is an example.
func TestExemplars(t *testing.T) {
	tracer, _ := recorded()
	for from, want := range map[string]bool{sampled: true, unsampled: false} {
		span := tracer.Poll(tracing.ReadSpanContext(from, ""), "e")
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{1, 2}})
		tracing.Observe(h, 1.5, span.Context())
		var m dto.Metric
		if err := h.Write(&m); err != nil {
			t.Fatal(err)
		}
		exemplar := m.Histogram.Bucket[1].Exemplar
		if (exemplar != nil) != want || m.Histogram.GetSampleCount() != 1 {
			t.Errorf("sampled %v: exemplar %v of %d values", want, exemplar, m.Histogram.GetSampleCount())
		}
		for _, label := range exemplar.GetLabel() {
			if label.GetName() == "trace_id" && label.GetValue() != span.Context().TraceID() {
				t.Errorf("the exemplar's trace is %s; want %s", label.GetValue(), span.Context().TraceID())
			}
		}
		span.End()
	}
}

// TestUnrecordedIsPassedOn: W3C Trace Context wants a trace that is not recorded to be carried on.
func TestUnrecordedIsPassedOn(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans), sdk.WithSampler(sdk.ParentBased(sdk.NeverSample()))))
	span := tracer.Request(tracing.ReadSpanContext(unsampled, "a=b"), "GET", "http", time.Now())
	defer span.End()
	got := map[string]string{}
	span.Context().Write(func(name, value string) { got[name] = value })
	if !strings.HasPrefix(got["Traceparent"], unsampled[:36]) || !strings.HasSuffix(got["Traceparent"], "-00") || got["Tracestate"] != "a=b" {
		t.Errorf("passed on is %v", got)
	}
	if span.Recorded() || len(spans.Started()) > 0 || span.Context().Sampled() {
		t.Error("the span is recorded")
	}
	if _, err := trace.TraceIDFromHex(span.Context().TraceID()); err != nil {
		t.Error(err)
	}
}
