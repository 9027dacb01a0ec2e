package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/internal/testkit"
)

// TestFiguresAskNoGauge: what figures are made of is what has been counted; all else may take long.
func TestFiguresAskNoGauge(t *testing.T) {
	asked := 0
	r := newRegistry()
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "counted", Help: "-"}, []string{"of"})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took", Help: "-"})
	r.MustRegister(counted, took, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "waiting", Help: "-"}, func() float64 { asked++; return 1 }))
	counted.WithLabelValues("polls").Add(2)
	took.Observe(3)

	metrics, err := r.counters.Gather()
	testkit.NoError(t, err)
	if n, s := sum(metrics, "counted", nil), seconds(metrics, "took", nil); n != 2 || s != 3 || asked > 0 {
		t.Errorf("counted %v, took %v, gauges asked %d times; want 2, 3, 0", n, s, asked)
	}
	all, err := r.Gather()
	testkit.NoError(t, err)
	if len(all) != 3 || asked != 1 {
		t.Errorf("%d metrics in all, gauges asked %d times; want 3, 1", len(all), asked)
	}
}
