package watch

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scheduleMetrics show what is learnt, and what that saves.
type scheduleMetrics struct {
	s      *Schedule
	delay  prometheus.Histogram
	polls  *prometheus.Desc
	fixed  *prometheus.Desc
	gap    *prometheus.Desc
	learnt *prometheus.Desc
}

func newScheduleMetrics(s *Schedule, registry prometheus.Registerer) *scheduleMetrics {
	m := &scheduleMetrics{
		s: s,
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pollbridge_watch_delay_seconds",
			Help:    "For how long the end of a session went unnoticed: half of the time between the last observation before it and the first after it.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60},
		}),
		polls: prometheus.NewDesc("pollbridge_watch_polls_total",
			"Observations of sessions that are watched or held, but for the first one of each.", []string{"endpoint"}, nil),
		fixed: prometheus.NewDesc("pollbridge_watch_polls_at_interval_total",
			"How many there would have been with one in each watch.interval: the difference is what the schedule saves.", []string{"endpoint"}, nil),
		gap: prometheus.NewDesc("pollbridge_watch_schedule_gap_seconds",
			"How long after a poll of a session of that age, since its start or first sight, it is polled again, as was learnt.", []string{"endpoint", "since", "age"}, nil),
		learnt: prometheus.NewDesc("pollbridge_watch_schedule_sessions",
			"Sessions that were learnt from, by all replicas.", []string{"endpoint", "since"}, nil),
	}
	if registry != nil {
		registry.MustRegister(m.delay, m)
	}
	return m
}

// shownAges are those whose gaps are shown, by their label: seconds.
var shownAges = func() map[string]time.Duration {
	ages := map[string]time.Duration{}
	for _, seconds := range []int{0, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300} {
		ages[strconv.Itoa(seconds)] = time.Duration(seconds) * time.Second
	}
	return ages
}()

// Describe is for prometheus.
func (m *scheduleMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.polls, m.fixed, m.gap, m.learnt} {
		to <- desc
	}
}

// Collect is for prometheus.
func (m *scheduleMetrics) Collect(to chan<- prometheus.Metric) {
	m.collectSpent(to)
	for what, l := range m.s.learners {
		m.s.mu.Lock()
		sessions := l.here.Sessions() + l.others.Sessions()
		m.s.mu.Unlock()
		if sessions == 0 {
			continue
		}
		labels := []string{what.endpoint, originNames[what.origin]}
		to <- prometheus.MustNewConstMetric(m.learnt, prometheus.GaugeValue, sessions, labels...)
		curve := l.curve.Load()
		for name, age := range shownAges {
			to <- prometheus.MustNewConstMetric(m.gap, prometheus.GaugeValue, curve.Gap(age, 1).Seconds(), append(labels, name)...)
		}
	}
}

func (m *scheduleMetrics) collectSpent(to chan<- prometheus.Metric) {
	all := map[string]spent{}
	m.s.mu.Lock()
	for what, s := range m.s.spent {
		sum := all[what.endpoint]
		all[what.endpoint] = spent{sum.polls + s.polls, sum.atInterval + s.atInterval}
	}
	m.s.mu.Unlock()
	for endpoint, s := range all {
		to <- prometheus.MustNewConstMetric(m.polls, prometheus.CounterValue, s.polls, endpoint)
		to <- prometheus.MustNewConstMetric(m.fixed, prometheus.CounterValue, s.atInterval, endpoint)
	}
}
