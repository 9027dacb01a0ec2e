package otlp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"google.golang.org/grpc/grpclog"

	"pollbridge/tracing"
)

// Options is what a Provider needs besides its configuration. All of it is needed.
type Options struct {
	Version  string // of the program
	Instance string // tells this process from others
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Provider takes spans and sends them to the collector. Create it with Open.
type Provider struct {
	sdk   *sdk.TracerProvider
	queue *queue
}

const (
	// mostQueued is how many spans may wait to be sent, where the environment does not say so:
	// many clients poll at once, so more than the SDK has by default.
	mostQueued = 8192
	// mostLinks is to how many others a span may be linked, where the environment does not say
	// so: a poll is to all that wait for it.
	mostLinks = 4096
)

// Open makes a Provider. It connects to nobody yet, so it does not fail where the collector
// cannot be reached. The caller must Close it. cfg must be valid, and have an endpoint.
func Open(cfg Config, o Options) (*Provider, error) {
	to, err := newExporter(cfg)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	limits := sdk.NewSpanLimits()
	if os.Getenv(linkLimit) == "" {
		limits.LinkCountLimit = mostLinks
	}
	p := &Provider{queue: newQueue(to, number(os.Getenv(queueSize), mostQueued), o)}
	p.sdk = sdk.NewTracerProvider(sdk.WithSpanProcessor(p.queue), sdk.WithRawSpanLimits(limits), sdk.WithResource(describe(o)))
	return p, nil
}

// newExporter is told all but where to by the environment.
func newExporter(cfg Config) (sdk.SpanExporter, error) {
	to, grpc, err := cfg.target()
	if err != nil {
		return nil, err
	}
	if grpc {
		return otlptracegrpc.New(context.Background(), otlptracegrpc.WithEndpointURL(to.String()))
	}
	return otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(to.String()))
}

// describe says whose spans these are, unless the environment does.
func describe(o Options) *resource.Resource {
	// An error is that of a variable that was checked.
	described, _ := resource.New(context.Background(), resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("pollbridge"), semconv.ServiceVersion(o.Version), semconv.ServiceInstanceID(o.Instance)),
		resource.WithFromEnv())
	return described
}

// The libraries write nothing: they quote settings, and what collectors answer. It is said once and
// for all, since they can be told for a whole process only, and gRPC not any more once it is used.
func init() {
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

// Tracer makes the spans.
func (p *Provider) Tracer() *tracing.Tracer { return tracing.New(p.sdk) }

// Close sends what is left, as far as that is possible within a time. Spans that end later are
// not sent.
func (p *Provider) Close(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_ = p.sdk.Shutdown(ctx) // what was not sent is counted
	p.queue.cut()           // or one that hangs would be asked for ever
}
