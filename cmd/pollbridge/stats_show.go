package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"pollbridge/admin/api"

	"github.com/dustin/go-humanize"
)

type statsCmd struct {
	watchFlags
	remote
}

// Run shows figures.
func (c *statsCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		return show(ctx, c.watchFlags, b, p, view[api.Stats]{
			look: func(ctx context.Context) ([]api.Stats, bool, error) {
				stats, err := b.Stats(ctx)
				return []api.Stats{stats}, false, err
			},
			table: func(all []api.Stats) table { return statsTable(all[0]) },
		})
	})
}

func statsTable(s api.Stats) (t table) {
	count := func(name string, n int) { t.field(name, humanize.Comma(int64(n))) }
	counts := func(name string, of map[string]int) {
		for _, state := range slices.Sorted(maps.Keys(of)) {
			count(name+" "+state, of[state])
		}
	}
	t.field("version", s.Version)
	t.field("started", at(s.StartedAt))
	t.field("polls asked", humanize.Comma(s.Polls.Asked))
	t.field("polls sent", humanize.Comma(s.Polls.Sent))
	t.field("polls saved", fmt.Sprintf("%s (%d %%)", humanize.Comma(s.Polls.Saved), 100*s.Polls.Saved/max(1, s.Polls.Asked)))
	t.field("breaker", s.Breaker)
	count("watches", s.Watches)
	counts("sessions", s.Sessions)
	count("subscriptions", s.Subscriptions)
	counts("deliveries", s.Deliveries)
	counts("queue", s.Queues)
	t.field("cache", fmt.Sprintf("%s answers, %s", humanize.Comma(int64(s.Cache.Entries)), humanize.IBytes(uint64(max(0, s.Cache.Bytes)))))
	count("calls held", s.Held)
	return t
}
