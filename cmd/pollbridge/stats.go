package main

import (
	"context"

	"pollbridge/admin"
	"pollbridge/webhook"

	dto "github.com/prometheus/client_model/go"
)

// services is what the management API manages.
func (b *bridge) services() *admin.Services {
	return &admin.Services{
		Subscriptions: b.webhooks, Deliveries: b.webhooks, Events: b.webhooks,
		Sessions: b.watcher, Table: b.table, Stats: b.stats,
	}
}

func (b *bridge) stats(ctx context.Context) (admin.Stats, error) {
	hooks, err := b.webhooks.Stats(ctx)
	entries, bytes := b.statuses.Size()
	now := b.readMetrics()
	delivered := now.sum("pollbridge_deliveries_total", func(m *dto.Metric) bool {
		return labelOf(m, "result") == webhook.StateDelivered
	})
	return admin.Stats{
		Version: programVersion(), StartedAt: b.started,
		Polls: now.polls(), Sessions: b.watcher.States(), Watches: b.watcher.Live() + b.longPolls.Held(),
		Cache:         admin.CacheStats{Entries: int(entries), Bytes: bytes},
		Breaker:       b.upstream.Breaker(),
		Subscriptions: hooks.Subscriptions,
		Deliveries: map[string]int{
			webhook.StateWaiting: hooks.BacklogNow + hooks.BacklogLater, webhook.StateDead: hooks.Dead, webhook.StateDelivered: int(delivered),
		},
		Queues: map[string]int{"deliveries": hooks.BacklogNow, "retries": hooks.BacklogLater, "attempts": hooks.AttemptsUnderWay},
	}, err
}

// readings are all metrics at one moment.
type readings []*dto.MetricFamily

func (b *bridge) readMetrics() readings {
	families, _ := b.registry.Gather() // what another collector cannot tell is no matter here
	return families
}

// polls compares what clients and watches asked with what the upstream was asked.
func (r readings) polls() admin.PollStats {
	all := func(*dto.Metric) bool { return true }
	asked := r.sum("pollbridge_status_requests_total", all) + r.sum("pollbridge_watch_lag_seconds", all)
	sent := r.sum("pollbridge_upstream_requests_total", func(m *dto.Metric) bool {
		outcome := labelOf(m, "outcome")
		return labelOf(m, "endpoint") != "passthrough" && outcome != "circuit_open" && outcome != "overload"
	})
	return admin.PollStats{Asked: int64(asked), Sent: int64(sent), Saved: int64(max(0, asked-sent))}
}

// sum adds up the counters of a metric that are wanted, or how many values they have
// observed.
func (r readings) sum(metric string, wanted func(*dto.Metric) bool) (total float64) {
	for _, family := range r {
		if family.GetName() != metric {
			continue
		}
		for _, m := range family.GetMetric() {
			if wanted(m) {
				total += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

func labelOf(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}
