package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"pollbridge/internal/check"
)

// healthcheckCmd is for images that have no shell and no other HTTP client.
type healthcheckCmd struct {
	AdminListen string `placeholder:"ADDR" env:"POLLBRIDGE_ADMIN_LISTEN" default:"127.0.0.1:8090" help:"Address on which the bridge was told to serve its management API."`
}

// Run fails unless the bridge at that address says that it is alive.
func (c *healthcheckCmd) Run(ctx context.Context) error {
	host, port, err := net.SplitHostPort(c.AdminListen)
	if err != nil {
		return fmt.Errorf("--admin-listen: %q: want HOST:PORT", check.Redacted(c.AdminListen))
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return err
	}
	direct := &http.Transport{} // whatever proxy the environment names
	defer direct.CloseIdleConnections()
	response, err := direct.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("unhealthy: %s", response.Status)
	}
	return nil
}
