package delivery

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// retried is the result of a failed attempt that is followed by another one.
const retried = "retried"

type metrics struct {
	deliveries *prometheus.CounterVec
	seconds    prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, s *Service) *metrics {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pollbridge_deliveries_total",
			Help: "Deliveries by result: delivered, dead or superseded. retried counts failed attempts that are followed by another one.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pollbridge_delivery_seconds",
			Help:    "Time from seeing a state to the receiver's 2xx answer, all attempts included.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 36000, 172800},
		}),
	}
	registry.MustRegister(m.deliveries, m.seconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pollbridge_delivery_backlog",
			Help: "Deliveries that are not finished: not fanned out yet, under way, due now, or waiting for a retry.",
		}, s.backlog),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pollbridge_deliveries_dead",
			Help: "Deliveries that were given up and can be redelivered.",
		}, func() float64 { return float64(s.records.deadCount()) }))
	for _, result := range []string{Delivered, Dead, Superseded, retried} {
		m.deliveries.WithLabelValues(result) // from 0, so that rates can be seen
	}
	return m
}

// backlog is not a number while the engine does not answer.
func (s *Service) backlog() float64 {
	ctx, cancel := context.WithTimeout(s.living, time.Second)
	defer cancel()
	now, later, err := s.waiting(ctx)
	if err != nil {
		return math.NaN()
	}
	return float64(now + later)
}
