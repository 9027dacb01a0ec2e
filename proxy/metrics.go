package proxy

import (
	"strconv"

	"pollbridge/cache"
	"pollbridge/session"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	results     map[*session.Endpoint]*results
	passthrough *prometheus.CounterVec
}

// results are the counters of one endpoint, looked up once and for all.
type results struct {
	answered [cache.Stale + 1]prometheus.Counter
	errors   prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, table *session.Table) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pollbridge_status_requests_total",
		Help: "Status requests of clients, by how they were answered.",
	}, []string{"endpoint", "result"})
	m := &metrics{
		results: map[*session.Endpoint]*results{},
		passthrough: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pollbridge_passthrough_requests_total",
			Help: "Requests that passed through, by the status code of the answer.",
		}, []string{"code"}),
	}
	for _, endpoint := range table.Endpoints() {
		of := &results{errors: requests.WithLabelValues(endpoint.Name, "error")}
		for how := cache.Hit; how <= cache.Stale; how++ {
			of.answered[how] = requests.WithLabelValues(endpoint.Name, how.String())
		}
		m.results[endpoint] = of
	}
	registry.MustRegister(requests, m.passthrough)
	return m
}

func (m *metrics) countResult(endpoint *session.Endpoint, how cache.How) {
	m.results[endpoint].answered[how].Inc()
}

func (m *metrics) countError(endpoint *session.Endpoint) { m.results[endpoint].errors.Inc() }

func (m *metrics) countPassthrough(code int) {
	m.passthrough.WithLabelValues(strconv.Itoa(code)).Inc()
}
