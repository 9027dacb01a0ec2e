package otlp_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/collector"
	"pollbridge/tracing"
	"pollbridge/tracing/otlp"
)

// TestMain lets idle connections be: the SDK has one pool of them for the whole process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// opened is a provider, and what it tells.
type opened struct {
	*otlp.Provider
	t        *testing.T
	log      *testkit.LogBuffer
	registry *prometheus.Registry
}

func open(t *testing.T, endpoint string) *opened {
	t.Helper()
	o := &opened{t: t, log: &testkit.LogBuffer{}, registry: prometheus.NewRegistry()}
	var err error
	o.Provider, err = otlp.Open(otlp.Config{Endpoint: endpoint}, otlp.Options{
		Version: "1.2.3", Instance: "this-one", Log: o.log.Logger(slog.LevelDebug), Registry: o.registry,
	})
	testkit.NoError(t, err)
	return o
}

func (o *opened) record(n int) {
	for i := range n {
		o.Tracer().Poll(nil, fmt.Sprint("endpoint-", i)).End()
	}
}

func (o *opened) dropped(reason string) float64 {
	return testkit.Metrics(o.t, o.registry)["pollbridge_trace_spans_dropped_total{"+reason+"}"]
}

// wantLog looks for a message, and that it is there once, and shows no secret.
func (o *opened) wantLog(message string) {
	o.t.Helper()
	if n := strings.Count(o.log.String(), message); n != 1 || strings.Contains(o.log.String(), "sesame") {
		o.t.Errorf("the log has %q %d times; want once, and no secret:\n%s", message, n, o.log)
	}
}

// TestSpansArrive: over HTTP and over gRPC, with what the environment says of them.
func TestSpansArrive(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=sesame")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.instance.id=other")
	// What belongs to the endpoint does not count.
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/wrong")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://127.0.0.1:9/wrong")
	t.Setenv("OTEL_EXPORTER_OTLP_INSECURE", "false")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	c := collector.New(t)
	for _, endpoint := range []string{c.HTTP, c.HTTP + "/base/", c.HTTP + "/own/v1/traces", c.GRPC} {
		before := len(c.Spans())
		o := open(t, endpoint)
		o.record(3)
		o.Close(5 * time.Second)
		spans := c.Spans()[before:]
		if len(spans) != 3 || o.dropped("export_failed")+o.dropped("queue_full") != 0 {
			t.Errorf("%s: %d spans came; want 3; log: %s", endpoint, len(spans), o.log)
			continue
		}
		for name, want := range map[string]string{
			"service.name": "pollbridge", "service.version": "1.2.3", "service.instance.id": "other", "deployment.environment.name": "test", "telemetry.sdk.language": "go",
		} {
			if got := spans[0].Resource[name]; got != want {
				t.Errorf("%s: %s is %q; want %q", endpoint, name, got, want)
			}
		}
		if _, there := spans[0].Resource["process.command_args"]; there {
			t.Error("the command line is told")
		}
	}
	if got, want := strings.Join(c.Paths(), " "), "/v1/traces /base/v1/traces /own/v1/traces"; got != want {
		t.Errorf("spans went to %s; want %s", got, want)
	}
	if got := c.Headers()[0].Get("api-key"); got != "sesame" {
		t.Errorf("the header of the environment came as %q", got)
	}
}

func TestTheEnvironmentSamples(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0")
	c := collector.New(t)
	o := open(t, c.HTTP)
	o.record(10)
	sampled := tracing.ReadSpanContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "")
	o.Tracer().Poll(sampled, "part").End()
	o.Close(5 * time.Second)
	if spans := c.Spans(); len(spans) != 1 || spans[0].Name != "poll part" {
		t.Errorf("%d spans came; want the one of which a client's trace is recorded", len(spans))
	}
}

// TestACollectorThatHangs: nobody waits for it. Beyond the queue spans are dropped, and counted;
// the end of the program takes no longer than it may.
func TestACollectorThatHangs(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
	c := collector.New(t)
	asked := make(chan struct{}, 100)
	c.Set(func(ctx context.Context) int {
		asked <- struct{}{}
		<-ctx.Done()
		return http.StatusServiceUnavailable
	})
	o := open(t, c.HTTP)
	o.record(10)
	<-asked
	began := time.Now()
	o.record(1000)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("1000 spans took %v", took)
	}
	if n := o.dropped("queue_full"); n != 910 {
		t.Errorf("%v of 1010 spans were dropped, with room for 100; want 910", n)
	}
	o.wantLog("spans are dropped: more are recorded")
	began = time.Now()
	o.Close(300 * time.Millisecond)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("closing within 300ms took %v", took)
	}
	testkit.Eventually(t, "what is left counts as dropped", func() bool { return o.dropped("export_failed") == 100 })
}

// TestACollectorThatFails: what it does not take is dropped, counted, and logged once, until it
// does again; nothing of the endpoint, nor of what it answers, is in the log.
func TestACollectorThatFails(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=sesame")
	c := collector.New(t)
	c.Set(func(context.Context) int { return http.StatusUnauthorized })
	o := open(t, c.HTTP+"/sesame")
	defer o.Close(5 * time.Second)
	o.record(5)
	testkit.Eventually(t, "five are dropped", func() bool { return o.dropped("export_failed") == 5 })
	o.wantLog("spans are dropped: they cannot be sent")
	o.wantLog("the collector answers 401 Unauthorized")
	c.Set(nil)
	o.record(1)
	testkit.Eventually(t, "one arrives", func() bool { return len(c.Spans()) == 1 })
	testkit.Eventually(t, "the log says so", func() bool { return strings.Contains(o.log.String(), "spans are sent again") })
	o.wantLog("spans are sent again")
}

func TestNoCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
	for _, endpoint := range []string{"http://127.0.0.1:9/sesame", "https://127.0.0.1:9", "grpc://127.0.0.1:9", "grpcs://127.0.0.1:9"} {
		o := open(t, endpoint)
		o.record(3)
		o.Close(5 * time.Second)
		if n := o.dropped("export_failed"); n != 3 {
			t.Errorf("%s: %v spans are dropped; want 3", endpoint, n)
		}
		o.wantLog("spans are dropped: they cannot be sent")
	}
}

// TestManyLinks: more than the SDK's 128 stay, and of more than 4096 it is told how many are left
// out.
func TestManyLinks(t *testing.T) {
	c := collector.New(t)
	o := open(t, c.GRPC)
	poll := o.Tracer().Poll(nil, "e")
	to := o.Tracer().Poll(nil, "other").Context()
	for range 1000 {
		poll.Link(to)
	}
	poll.End()
	o.Close(5 * time.Second)
	if spans := c.Named("poll e"); len(spans) != 1 || len(spans[0].Links) != 1000 {
		t.Fatalf("%d spans; want one with 1000 links", len(spans))
	}
}
