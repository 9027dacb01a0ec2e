package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
)

func (m *management) registerStats(h huma.API) {
	route(m, h, operation(http.MethodGet, "/v1/replicas", "list-replicas", tagStats, "List the replicas of the fleet", "Those that are there, the eldest first. A bridge that is alone is the only one.", http.StatusOK),
		"query", func(context.Context, *struct{}) (*answered[api.List[api.Replica]], error) {
			return &answered[api.List[api.Replica]]{api.List[api.Replica]{Items: m.Services.Replicas()}}, nil
		})
	route(m, h, operation(http.MethodGet, "/v1/stats", "get-stats", tagStats, "Get figures", "", http.StatusOK),
		"query", func(ctx context.Context, _ *struct{}) (*answered[api.Stats], error) {
			stats, err := m.Services.Stats(ctx)
			stats.Held = int(m.longPolls.number.Load())
			return &answered[api.Stats]{stats}, err
		})
}
