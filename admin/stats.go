package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Stats is what the bridge is doing, in figures. Counters count from its start.
type Stats struct {
	Version       string         `json:"version"`
	StartedAt     time.Time      `json:"started_at"`
	Polls         PollStats      `json:"polls"`
	Sessions      map[string]int `json:"sessions" doc:"How many sessions are in which state."`
	Watches       int            `json:"watches" doc:"How many sessions are polled in the background."`
	Cache         CacheStats     `json:"cache"`
	Breaker       string         `json:"breaker" enum:"closed,half-open,open" doc:"open: the upstream is not asked, because it failed."`
	Subscriptions int            `json:"subscriptions"`
	Deliveries    map[string]int `json:"deliveries" doc:"How many deliveries are in which state."`
	Queues        map[string]int `json:"queues" doc:"How many items wait, by queue."`
	Held          int            `json:"held" doc:"How many calls of this API wait for events."`
}

// PollStats is how many polls clients were spared.
type PollStats struct {
	Asked int64 `json:"asked" doc:"Status requests by clients and watches."`
	Sent  int64 `json:"sent" doc:"Status requests to the upstream."`
	Saved int64 `json:"saved" doc:"Those that were answered without asking the upstream."`
}

// CacheStats is what is held in memory.
type CacheStats struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

func (m *management) registerStats(api huma.API) {
	route(m, api, operation(http.MethodGet, "/v1/stats", "get-stats", tagStats, "Figures", "", http.StatusOK),
		"query", func(ctx context.Context, _ *struct{}) (*answered[Stats], error) {
			stats, err := m.Services.Stats(ctx)
			stats.Held = m.held.number()
			return &answered[Stats]{stats}, err
		})
}
