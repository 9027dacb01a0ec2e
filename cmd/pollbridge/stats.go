package main

import (
	"context"
	"slices"

	"pollbridge/admin"
	"pollbridge/admin/api"
	"pollbridge/upstream"
	"pollbridge/webhook/delivery"

	dto "github.com/prometheus/client_model/go"
)

// services is what the management API manages.
func (b *bridge) services() *admin.Services {
	return &admin.Services{
		Subscriptions: b.webhooks, Deliveries: b.webhooks, Events: b.webhooks,
		Sessions: b.watches(), Answers: b.answers(), Table: b.table, Stats: b.stats, Replicas: b.replicas, Schedule: b.scheduled,
	}
}

func (b *bridge) stats(ctx context.Context) (api.Stats, error) {
	hooks, err := b.webhooks.Stats(ctx)
	entries, bytes := b.statuses.Size()
	metrics, _ := b.registry.counters.Gather() // what another collector cannot tell is no matter here
	asked := sum(metrics, "pollbridge_status_requests_total", nil) + sum(metrics, "pollbridge_watch_lag_seconds", nil)
	isPoll := func(labels map[string]string) bool { return labels["endpoint"] != "passthrough" }
	sent := sum(metrics, "pollbridge_upstream_requests_total", func(labels map[string]string) bool {
		return isPoll(labels) && !slices.Contains(notSent, upstream.Reason(labels["outcome"]))
	})
	failed := sum(metrics, "pollbridge_upstream_requests_total", func(labels map[string]string) bool {
		return isPoll(labels) && slices.Contains(failures, upstream.Reason(labels["outcome"]))
	})
	delivered := sum(metrics, "pollbridge_deliveries_total", func(labels map[string]string) bool {
		return labels["result"] == delivery.Delivered
	})
	return api.Stats{
		Version: programVersion(), StartedAt: b.started,
		Polls: api.PollStats{Asked: int64(asked), Sent: int64(sent), Saved: int64(max(0, asked-sent))},
		Upstream: api.UpstreamStats{
			Answered: int64(sum(metrics, "pollbridge_upstream_request_seconds", isPoll)),
			Seconds:  seconds(metrics, "pollbridge_upstream_request_seconds", isPoll), Failed: int64(failed),
		},
		Sessions: b.watcher.States(), Watches: b.watcher.Live() + b.longPolls.Held(),
		Cache:         api.CacheStats{Entries: int(entries), Bytes: bytes},
		Breaker:       b.upstream.Breaker(),
		Subscriptions: hooks.Subscriptions,
		Deliveries: map[string]int{
			delivery.Waiting: hooks.BacklogNow + hooks.BacklogLater, delivery.Dead: hooks.Dead, delivery.Delivered: int(delivered),
		},
		Queues: map[string]int{"deliveries": hooks.BacklogNow, "retries": hooks.BacklogLater, "attempts": hooks.AttemptsUnderWay},
	}, err
}

// Why a poll was not sent, and why one that was has brought nothing.
var (
	notSent  = []upstream.Reason{upstream.Open, upstream.Overload, upstream.HeldBack}
	failures = []upstream.Reason{
		upstream.Timeout, upstream.Connection, upstream.Unreadable, upstream.Transient, upstream.Server, upstream.SlowDown, upstream.Redirect, "error",
	}
)

// sum adds up the counters of a metric, or how many values it has observed, where the
// labels are wanted. Nil wants all.
func sum(metrics []*dto.MetricFamily, name string, wanted func(labels map[string]string) bool) float64 {
	return total(metrics, name, wanted, func(m *dto.Metric) float64 {
		return m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	})
}

// seconds adds up what a histogram has observed.
func seconds(metrics []*dto.MetricFamily, name string, wanted func(labels map[string]string) bool) float64 {
	return total(metrics, name, wanted, func(m *dto.Metric) float64 { return m.GetHistogram().GetSampleSum() })
}

func total(metrics []*dto.MetricFamily, name string, wanted func(labels map[string]string) bool, value func(*dto.Metric) float64) (total float64) {
	for _, family := range metrics {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, pair := range m.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			if wanted == nil || wanted(labels) {
				total += value(m)
			}
		}
	}
	return total
}
