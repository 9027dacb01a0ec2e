package check

import (
	"strings"
	"testing"
)

// TestCompose: Compose reads the files, and each image is of one version.
func TestCompose(t *testing.T) {
	for path, environment := range map[string][]string{
		"/deploy/compose.yaml":        {"POLLBRIDGE_UPSTREAM_URL=x", "POLLBRIDGE_ADMIN_KEY=x", "NATS_PASSWORD=x", "GRAFANA_PASSWORD=x"},
		"/deploy/single/compose.yaml": {"POLLBRIDGE_UPSTREAM_URL=x", "POLLBRIDGE_ADMIN_KEY=x"},
	} {
		for name, service := range compose(t, tree+path, environment...).Services {
			if _, tag, _ := strings.Cut(service.Image, ":"); service.Build == nil && (tag == "" || strings.HasPrefix(tag, "latest")) {
				t.Errorf("%s: %s has an image of no version: %s", path, name, service.Image)
			}
		}
	}
}
