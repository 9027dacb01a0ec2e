// Package collector is where tests send spans to: it takes OTLP over HTTP and over gRPC, and
// remembers all that came.
package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"pollbridge/internal/testkit"
)

// Span is one as it came.
type Span struct {
	Name, Kind            string
	Trace, ID, Parent     string // in hex; Parent is empty where there is none
	State                 string // tracestate
	Links                 []Link
	Attributes, Resource  map[string]string
	Failed                bool
	StartNano, FinishNano uint64
}

// Link is one to another span.
type Link struct{ Trace, ID string }

// Collector is one that runs. It is safe for concurrent use. Create it with New.
type Collector struct {
	HTTP, GRPC string // endpoints

	mu      sync.Mutex
	spans   []Span // guarded by mu, as below
	text    strings.Builder
	headers []http.Header
	paths   []string
	answer  func(ctx context.Context) (status int)
}

// New starts a collector that ends with the test.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	c.HTTP = testkit.Serve(t, c).URL
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	server := grpc.NewServer()
	collect.RegisterTraceServiceServer(server, service{c: c})
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Stop(); <-ended })
	c.GRPC = "grpc://" + ln.Addr().String()
	return c
}

// Set changes how spans are answered that come over HTTP from now on: with a status, after
// as long as it takes. Only those that are answered 200 are remembered.
func (c *Collector) Set(answer func(ctx context.Context) (status int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// Spans returns those that came so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Named returns the spans with that name.
func (c *Collector) Named(name string) []Span {
	return slices.DeleteFunc(c.Spans(), func(s Span) bool { return s.Name != name })
}

// Text is all that came, as JSON.
func (c *Collector) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// Headers returns those of the requests over HTTP, and Paths what these were for.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

// Paths returns what requests over HTTP were for.
func (c *Collector) Paths() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.paths)
}

// ServeHTTP takes spans over HTTP.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.headers, c.paths = append(c.headers, r.Header), append(c.paths, r.URL.Path)
	answer := c.answer
	c.mu.Unlock()
	sent, err := io.ReadAll(r.Body) // first, or nobody would notice that the client leaves
	if err != nil {
		return
	}
	if answer != nil {
		if status := answer(r.Context()); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	body := io.Reader(bytes.NewReader(sent))
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	raw, err := io.ReadAll(body)
	var request collect.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(raw, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.take(&request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

type service struct {
	collect.UnimplementedTraceServiceServer
	c *Collector
}

func (s service) Export(_ context.Context, request *collect.ExportTraceServiceRequest) (*collect.ExportTraceServiceResponse, error) {
	s.c.take(request)
	return &collect.ExportTraceServiceResponse{}, nil
}

func (c *Collector) take(request *collect.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, _ := protojson.Marshal(request)
	c.text.Write(text)
	for _, r := range request.ResourceSpans {
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, read(s, values(r.Resource.GetAttributes())))
			}
		}
	}
}

func read(s *trace.Span, resource map[string]string) Span {
	span := Span{
		Name: s.Name, Kind: strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"), State: s.TraceState,
		Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
		Attributes: values(s.Attributes), Resource: resource, Failed: s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR,
		StartNano: s.StartTimeUnixNano, FinishNano: s.EndTimeUnixNano,
	}
	for _, l := range s.Links {
		span.Links = append(span.Links, Link{hex.EncodeToString(l.TraceId), hex.EncodeToString(l.SpanId)})
	}
	return span
}

func values(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		all[a.Key] = value(a.Value)
	}
	return all
}

func value(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *common.AnyValue_ArrayValue:
		var all []string
		for _, each := range v.ArrayValue.Values {
			all = append(all, value(each))
		}
		return strings.Join(all, ",")
	}
	return ""
}
