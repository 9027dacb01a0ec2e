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
	delivered := b.sum("pollbridge_deliveries_total", "result", func(result string) bool { return result == webhook.StateDelivered })
	return admin.Stats{
		Version: programVersion(), StartedAt: b.started,
		Polls: b.pollStats(), Sessions: b.watcher.States(), Watches: b.watcher.Live() + b.keeper.Held(),
		Cache:         admin.CacheStats{Entries: int(entries), Bytes: bytes},
		Breaker:       b.upstream.Breaker(),
		Subscriptions: hooks.Subscriptions,
		Deliveries: map[string]int{
			webhook.StateWaiting: hooks.BacklogNow + hooks.BacklogLater, webhook.StateDead: hooks.Dead, webhook.StateDelivered: int(delivered),
		},
		Queues: map[string]int{"deliveries": hooks.BacklogNow, "retries": hooks.BacklogLater, "attempts": hooks.AttemptsUnderWay},
	}, err
}

// pollStats compares what clients and watches asked with what the upstream was asked.
func (b *bridge) pollStats() admin.PollStats {
	asked := b.sum("pollbridge_status_requests_total", "", nil) + b.sum("pollbridge_watch_lag_seconds", "", nil)
	sent := b.sum("pollbridge_upstream_requests_total", "endpoint", func(name string) bool { return name != "passthrough" }) -
		b.sum("pollbridge_upstream_requests_total", "outcome", func(outcome string) bool { return outcome == "circuit_open" || outcome == "overload" })
	return admin.PollStats{Asked: int64(asked), Sent: int64(sent), Saved: int64(max(0, asked-sent))}
}

// sum adds up the counters of a metric whose label is wanted, or how many values it
// has observed; nil wants all.
func (b *bridge) sum(metric, label string, wanted func(string) bool) (total float64) {
	families, _ := b.registry.Gather() // what another collector cannot tell is no matter here
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, m := range family.GetMetric() {
			if wanted == nil || wanted(labelOf(m, label)) {
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
