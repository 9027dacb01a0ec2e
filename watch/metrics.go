package watch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	lag     prometheus.Histogram
	late    prometheus.Counter
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
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pollbridge_watch_budget_delay_seconds_total",
			Help: "For how much longer ends of sessions went unnoticed, as polls that were due waited: for upstream.rate, upstream.max_inflight or a Retry-After.",
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
	registry.MustRegister(m.lag, m.late, m.refused, m.failed)
	return m
}

// noteLate counts what it has cost that a session was polled late that had ended since it was observed
// before. What ended after the poll was wanted it would not have found.
func (m *metrics) noteLate(before, wanted, found time.Time, late time.Duration) {
	if before.IsZero() || late <= 0 || !found.After(before) {
		return
	}
	share := wanted.Sub(before).Seconds() / found.Sub(before).Seconds()
	m.late.Add(late.Seconds() * min(1, max(0, share)))
}
