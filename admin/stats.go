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
	Sessions      map[string]int `json:"sessions" doc:"The number of sessions in each state."`
	Watches       int            `json:"watches" doc:"The number of sessions polled in the background."`
	Cache         CacheStats     `json:"cache"`
	Breaker       string         `json:"breaker" enum:"closed,half-open,open" doc:"open: the upstream keeps failing and is not polled."`
	Subscriptions int            `json:"subscriptions"`
	Deliveries    map[string]int `json:"deliveries" doc:"The number of deliveries in each state."`
	Queues        map[string]int `json:"queues" doc:"The number of waiting items in each queue."`
	Held          int            `json:"held" doc:"The number of API calls waiting for events."`
}

// PollStats is how many polls clients were spared.
type PollStats struct {
	Asked int64 `json:"asked" doc:"Status requests of clients and watches."`
	Sent  int64 `json:"sent" doc:"Status requests to the upstream."`
	Saved int64 `json:"saved" doc:"Status requests answered without asking the upstream."`
}

// CacheStats is what is held in memory.
type CacheStats struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

func (m *management) registerStats(api huma.API) {
	route(m, api, operation(http.MethodGet, "/v1/stats", "get-stats", tagStats, "Get figures", "", http.StatusOK),
		"query", func(ctx context.Context, _ *struct{}) (*answered[Stats], error) {
			stats, err := m.Services.Stats(ctx)
			stats.Held = int(m.longPolls.number.Load())
			return &answered[Stats]{stats}, err
		})
}
