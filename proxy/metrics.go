package proxy

import (
	"strconv"
	"sync/atomic"

	"pollbridge/cache"
	"pollbridge/session"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	results     map[*session.Endpoint]*results
	passthrough *prometheus.CounterVec
	passed      [600]counter // of passthrough, by code
}

// counter is looked up when it is first needed.
type counter struct {
	found atomic.Pointer[prometheus.Counter]
}

func (c *counter) get(find func() prometheus.Counter) prometheus.Counter {
	if found := c.found.Load(); found != nil {
		return *found
	}
	found := find()
	c.found.Store(&found)
	return found
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
	m.passed[min(max(code, 0), len(m.passed)-1)].get(func() prometheus.Counter {
		return m.passthrough.WithLabelValues(strconv.Itoa(code))
	}).Inc()
}
