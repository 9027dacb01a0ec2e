package main

import "github.com/prometheus/client_golang/prometheus"

// registry has the metrics of the bridge, and those of them that count once more: the figures of
// the dashboard are made of these each second, and gauges would ask the store meanwhile.
type registry struct {
	*prometheus.Registry
	counters *prometheus.Registry
}

func newRegistry() registry {
	return registry{Registry: prometheus.NewRegistry(), counters: prometheus.NewRegistry()}
}

// MustRegister panics where a name is taken.
func (r registry) MustRegister(collectors ...prometheus.Collector) {
	for _, c := range collectors {
		r.Registry.MustRegister(c)
		switch c.(type) {
		case *prometheus.CounterVec, *prometheus.HistogramVec, prometheus.Histogram:
			r.counters.MustRegister(c)
		}
	}
}
