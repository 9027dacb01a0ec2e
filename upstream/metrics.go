package upstream

import (
	"errors"
	"strconv"
	"time"

	"pollbridge/session"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// passthrough is the endpoint label of what is no status request.
const passthrough = "passthrough"

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	breaker  prometheus.Gauge

	// Looked up once and for all: what passes through, by the class of its status.
	passed        [6]prometheus.Counter // by the hundreds; there is no 0
	passedSeconds prometheus.Observer
}

func newMetrics(registry prometheus.Registerer, host string) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pollbridge_upstream_requests_total",
			Help: "Requests for the upstream by outcome: the state it answered, the class of its status where it was a passed-through request, or why there was no answer. circuit_open and overload were not sent.",
		}, []string{"endpoint", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pollbridge_upstream_request_seconds",
			Help:    "Time from sending a request to the upstream to the end of its answer (of its header, where it passed through).",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"endpoint"}),
		breaker: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pollbridge_breaker_state",
			Help: "State of the circuit breaker: 0 closed, 1 half-open, 2 open.",
		}, []string{"upstream"}).WithLabelValues(host),
	}
	registry.MustRegister(m.requests, m.seconds, m.breaker)
	for class := 1; class < len(m.passed); class++ {
		m.passed[class] = m.requests.WithLabelValues(passthrough, strconv.Itoa(class)+"xx")
	}
	m.passedSeconds = m.seconds.WithLabelValues(passthrough)
	return m
}

func (m *metrics) countPoll(endpoint, outcome string) {
	m.requests.WithLabelValues(endpoint, outcome).Inc()
}

func (m *metrics) observePoll(endpoint, outcome string, took time.Duration) {
	m.countPoll(endpoint, outcome)
	m.seconds.WithLabelValues(endpoint).Observe(took.Seconds())
}

func (m *metrics) observePassed(status int, took time.Duration) {
	m.passed[min(max(status/100, 1), len(m.passed)-1)].Inc()
	m.passedSeconds.Observe(took.Seconds())
}

func (m *metrics) observeBreaker(state gobreaker.State) {
	m.breaker.Set(map[gobreaker.State]float64{
		gobreaker.StateClosed: 0, gobreaker.StateHalfOpen: 1, gobreaker.StateOpen: 2,
	}[state])
}

// outcome is the state that was observed, or the reason why none was.
func outcome(observation *session.Observation, err error) string {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return string(failure.Reason)
	}
	if observation == nil {
		return "error"
	}
	return observation.State.String()
}
