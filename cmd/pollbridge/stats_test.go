package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestSum(t *testing.T) {
	registry := prometheus.NewRegistry()
	polls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "polls_total"}, []string{"endpoint", "outcome"})
	lag := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lag_seconds"})
	registry.MustRegister(polls, lag)
	polls.WithLabelValues("a", "sent").Add(3)
	polls.WithLabelValues("b", "sent").Add(4)
	polls.WithLabelValues("b", "overload").Add(5)
	lag.Observe(0.5)
	lag.Observe(60)
	metrics, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	wereSent := func(labels map[string]string) bool { return labels["outcome"] == "sent" }
	if got := seconds(metrics, "lag_seconds", nil); got != 60.5 {
		t.Errorf("seconds of lag_seconds = %v; want 60.5", got)
	}
	for _, test := range []struct {
		name   string
		wanted func(map[string]string) bool
		want   float64
	}{
		{"polls_total", nil, 12},
		{"polls_total", wereSent, 7},
		{"lag_seconds", nil, 2},
		{"nothing_total", nil, 0},
	} {
		if got := sum(metrics, test.name, test.wanted); got != test.want {
			t.Errorf("sum of %s, some only %v = %v; want %v", test.name, test.wanted != nil, got, test.want)
		}
	}
}
