package api

import (
	"context"
	"time"
)

// Stats is what the bridge is doing, in figures. Counters count from its start.
type Stats struct {
	Version       string         `json:"version"`
	StartedAt     time.Time      `json:"started_at"`
	Polls         PollStats      `json:"polls"`
	Upstream      UpstreamStats  `json:"upstream"`
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

// UpstreamStats is how the upstream does.
type UpstreamStats struct {
	Answered int64   `json:"answered" doc:"Status requests that the upstream has answered, or failed to."`
	Seconds  float64 `json:"seconds" doc:"How long these took, all together."`
	Failed   int64   `json:"failed" doc:"Those that brought no usable answer: timeouts, broken connections, 5xx, 429, redirects, unreadable answers."`
}

// CacheStats is what is held in memory.
type CacheStats struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

// Stats returns figures.
func (c *Client) Stats(ctx context.Context) (Stats, error) { return get[Stats](ctx, c, nil, "stats") }
