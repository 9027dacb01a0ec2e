package watch

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	lag     prometheus.Histogram
	refused prometheus.Counter
	failed  prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pollbridge_watch_lag_seconds",
			Help:    "Delay between when a watched session was due to be polled and when it was polled.",
			Buckets: []float64{.005, .02, .1, .5, 1, 2, 5, 15, 60},
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pollbridge_watches_refused_total",
			Help: "Sessions that were not watched because watch.max was reached.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pollbridge_watch_store_failures_total",
			Help: "Failed attempts to store a watch or a change of state; each is retried.",
		}),
	}
	registry.MustRegister(m.lag, m.refused, m.failed)
	return m
}
