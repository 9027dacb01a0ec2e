package testkit

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics returns the values of all counters and gauges and the counts of all
// histograms, by their names and the values of their labels, such as
// pollbridge_upstream_requests_total{smartid-sign,pending}.
func Metrics(t testing.TB, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			name := family.GetName()
			if len(metric.Label) > 0 {
				var labels []string
				for _, pair := range metric.Label {
					labels = append(labels, pair.GetValue())
				}
				name += "{" + strings.Join(labels, ",") + "}"
			}
			values[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}
