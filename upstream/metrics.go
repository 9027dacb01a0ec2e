package upstream

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"pollbridge/session"
	"pollbridge/tracing"

	"github.com/prometheus/client_golang/prometheus"
)

// passthrough is the endpoint label of what is no status request.
const passthrough = "passthrough"

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	breaker  prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer, host string) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pollbridge_upstream_requests_total",
			Help: "Requests for the upstream by outcome: the state it answered, the class of its status where a request passed through, or why there was no answer. circuit_open, overload and held_back were not sent.",
		}, []string{"endpoint", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pollbridge_upstream_request_seconds",
			Help:    "Time from sending a request to the upstream to the end of its answer, or to the end of its header where a request passed through.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"endpoint"}),
		breaker: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pollbridge_breaker_state",
			Help: "State of the circuit breaker: 0 closed, 1 half-open, 2 open.",
		}, []string{"upstream"}).WithLabelValues(host),
	}
	registry.MustRegister(m.requests, m.seconds, m.breaker)
	return m
}

func (m *metrics) count(endpoint, outcome string) {
	m.requests.WithLabelValues(endpoint, outcome).Inc()
}

func (m *metrics) observeSeconds(endpoint string, took time.Duration, in *tracing.Span) {
	tracing.Observe(m.seconds.WithLabelValues(endpoint), took.Seconds(), in.Context())
}

// forwarded is the outcome of a request that passes through.
func forwarded(response *http.Response, err error) string {
	if err != nil {
		return Outcome(nil, err)
	}
	return strconv.Itoa(min(max(response.StatusCode/100, 1), 5)) + "xx"
}

// Outcome is the state that was observed, or the reason why none was.
func Outcome(observation *session.Observation, err error) string {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return string(failure.Reason)
	}
	if observation == nil {
		return "error"
	}
	return observation.State.String()
}
