package config_test

import (
	"strings"
	"testing"

	"pollbridge/config"
)

func TestLocateNeedsNoUpstream(t *testing.T) {
	c, err := config.Locate(config.Sources{
		File: file(t, "admin: {listen: ':1', keys: [0123456789abcdef]}\nlisten: ':1'"), Env: []string{"POLLBRIDGE_STORE_DIR=/here", "POLLBRIDGE_ACCESS_TOKEN=x"},
	})
	if err != nil || c.Admin.Listen != ":1" || len(c.Admin.Keys) != 1 || c.Store.Engine.Dir != "/here" {
		t.Errorf("Locate = %+v, %v", c, err)
	}
	for _, wrong := range []string{"POLLBRIDGE_ADMIN_LISTEN=here", "POLLBRIDGE_ADMIN_KEYS=sesame", "POLLBRIDGE_ADMIN_LISTN=:1", "POLLBRIDGE_WATCH_INTERVAL=never"} {
		name, _, _ := strings.Cut(wrong, "=")
		if c, err := config.Locate(config.Sources{Env: []string{wrong}}); err == nil || c != nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("Locate with %s = %v, %v; want a mistake that names it, without a secret", wrong, c, err)
		}
	}
}
