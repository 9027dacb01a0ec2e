package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
)

func (m *management) registerStats(h huma.API) {
	route(m, h, operation(http.MethodGet, "/v1/stats", "get-stats", tagStats, "Get figures", "", http.StatusOK),
		"query", func(ctx context.Context, _ *struct{}) (*answered[api.Stats], error) {
			stats, err := m.Services.Stats(ctx)
			stats.Held = int(m.longPolls.number.Load())
			return &answered[api.Stats]{stats}, err
		})
}
