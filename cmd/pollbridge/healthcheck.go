package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"pollbridge/internal/check"
)

// healthcheckCmd is for images that have no shell and no other HTTP client.
type healthcheckCmd struct {
	AdminListen string `placeholder:"ADDR" env:"POLLBRIDGE_ADMIN_LISTEN" default:"127.0.0.1:8090" help:"Address on which the bridge was told to serve its management API."`
	CertFile    string `name:"admin-tls-cert-file" placeholder:"FILE" env:"POLLBRIDGE_ADMIN_TLS_CERT_FILE" help:"Certificate that the management API shows. With one, it is asked by https."`
}

// Run fails unless the bridge at that address says that it is alive.
func (c *healthcheckCmd) Run() error {
	if _, _, err := net.SplitHostPort(c.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %q: want HOST:PORT", check.Redacted(c.AdminListen))
	}
	// With a transport of its own: whatever proxy the environment names.
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // it is for another name than the address, and nothing secret is sent
	}}
	address := localURL(c.AdminListen)
	if c.CertFile != "" {
		address = "https" + strings.TrimPrefix(address, "http")
	}
	response, err := client.Get(address + "/healthz")
	if err != nil {
		return errors.Unwrap(err) // what is around it quotes the address
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("unhealthy: %s", response.Status)
	}
	return nil
}
