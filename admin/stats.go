package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
)

func (m *management) registerStats(h huma.API) {
	route(m, h, operation(http.MethodGet, "/v1/replicas", "list-replicas", tagStats, "List the replicas of the fleet", "Those that are running, the oldest first. A single bridge lists itself.", http.StatusOK),
		"query", func(context.Context, *struct{}) (*answered[api.List[api.Replica]], error) {
			return &answered[api.List[api.Replica]]{api.List[api.Replica]{Items: m.Services.Replicas()}}, nil
		})
	route(m, h, operation(http.MethodGet, "/v1/schedule", "get-schedule", tagStats, "Get when sessions are polled", "And what the adaptive schedule has learnt for that: when the sessions of each endpoint end.", http.StatusOK),
		"query", func(context.Context, *struct{}) (*answered[api.Schedule], error) {
			return &answered[api.Schedule]{m.Services.Schedule()}, nil
		})
	route(m, h, operation(http.MethodGet, "/v1/stats", "get-stats", tagStats, "Get figures", "", http.StatusOK),
		"query", func(ctx context.Context, _ *struct{}) (*answered[api.Stats], error) {
			stats, err := m.Services.Stats(ctx)
			stats.Held = int(m.longPolls.number.Load())
			return &answered[api.Stats]{stats}, err
		})
}
