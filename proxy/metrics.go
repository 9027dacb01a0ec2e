package proxy

import (
	"strconv"

	"pollbridge/cache"
	"pollbridge/session"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	// results are the counters of each endpoint, looked up once and for all, by how requests
	// were answered; the one of errors stands at 0.
	results     map[*session.Endpoint]*[cache.Stale + 1]prometheus.Counter
	passthrough *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer, table *session.Table) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pollbridge_status_requests_total",
		Help: "Status requests of clients, by how they were answered.",
	}, []string{"endpoint", "result"})
	m := &metrics{
		results: map[*session.Endpoint]*[cache.Stale + 1]prometheus.Counter{},
		passthrough: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pollbridge_passthrough_requests_total",
			Help: "Requests that passed through, by the status code of the answer.",
		}, []string{"code"}),
	}
	for _, endpoint := range table.Endpoints() {
		of := &[cache.Stale + 1]prometheus.Counter{requests.WithLabelValues(endpoint.Name, "error")}
		for how := cache.Hit; how <= cache.Stale; how++ {
			of[how] = requests.WithLabelValues(endpoint.Name, how.String())
		}
		m.results[endpoint] = of
	}
	registry.MustRegister(requests, m.passthrough)
	return m
}

func (m *metrics) countResult(endpoint *session.Endpoint, how cache.How) {
	m.results[endpoint][how].Inc()
}

func (m *metrics) countError(endpoint *session.Endpoint) { m.results[endpoint][0].Inc() }

func (m *metrics) countPassthrough(code int) {
	m.passthrough.WithLabelValues(strconv.Itoa(code)).Inc()
}
