package otlp

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// queue holds spans until they are sent, in batches. The SDK's own drops without a word what
// does not fit; so this lets no more through than fits.
type queue struct {
	sdk.SpanProcessor // sends in batches
	to                sdk.SpanExporter
	size              int64
	held              atomic.Int64 // spans that are neither sent nor dropped

	living context.Context // ends when nothing is sent any more
	cut    context.CancelFunc

	log     *slog.Logger
	dropped *prometheus.CounterVec
	full    sync.Once   // the log says so
	failing atomic.Bool // likewise
}

// Why a span is dropped.
const (
	queueFull = "queue_full"
	notSent   = "export_failed"
)

func newQueue(to sdk.SpanExporter, size int, o Options) *queue {
	q := &queue{to: to, size: int64(size), log: o.Log, dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pollbridge_trace_spans_dropped_total",
		Help: "Spans that were recorded and not sent: the queue was full, or the collector did not take them.",
	}, []string{"reason"})}
	q.living, q.cut = context.WithCancel(context.Background())
	q.SpanProcessor = sdk.NewBatchSpanProcessor(sending{q}, sdk.WithMaxQueueSize(size))
	o.Registry.MustRegister(q.dropped)
	for _, reason := range []string{queueFull, notSent} {
		q.dropped.WithLabelValues(reason) // from 0, so that rates can be seen
	}
	return q
}

// OnEnd takes a span that has ended. It never blocks.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.held.Add(1) > q.size {
		q.held.Add(-1)
		q.dropped.WithLabelValues(queueFull).Inc()
		q.full.Do(func() {
			q.log.Warn("spans are dropped: more are recorded than the collector takes; record a part of the traces ("+sampler+"), or hold more ("+queueSize+")",
				"queue", q.size)
		})
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// sending is the queue as it sends a batch.
type sending struct{ *queue }

// ExportSpans sends a batch, and tells of a failure here: whoever calls it would tell the
// world.
func (q sending) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.living, cancel)()
	err := q.to.ExportSpans(ctx, spans)
	q.held.Add(-int64(len(spans)))
	switch {
	case err != nil:
		q.dropped.WithLabelValues(notSent).Add(float64(len(spans)))
		if q.failing.CompareAndSwap(false, true) {
			q.log.Warn("spans are dropped: they cannot be sent", "error", reasonOf(err))
		}
	case q.failing.CompareAndSwap(true, false):
		q.log.Info("spans are sent again")
	}
	return nil
}

// Shutdown ends the exporter.
func (q sending) Shutdown(ctx context.Context) error { return q.to.Shutdown(ctx) }
