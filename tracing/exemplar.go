package tracing

import "github.com/prometheus/client_golang/prometheus"

// Observe has a histogram observe a value, with the span as the example of it if that is
// recorded somewhere.
func Observe(h prometheus.Observer, value float64, in *SpanContext) {
	exemplars, takes := h.(prometheus.ExemplarObserver)
	if !takes || !in.Sampled() {
		h.Observe(value)
		return
	}
	exemplars.ObserveWithExemplar(value, prometheus.Labels{"trace_id": in.of.TraceID().String(), "span_id": in.of.SpanID().String()})
}
