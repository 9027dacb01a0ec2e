package upstream

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// connectionAge bounds how long a connection is used, so that a change of the
// upstream's address in DNS is noticed.
const connectionAge = time.Minute

// maxAnswer is the largest answer to a poll, in bytes: twice the largest document
// that is known, in base64.
const maxAnswer = 64 << 20

// Client talks to the upstream. It is safe for concurrent use. Create it with New.
type Client struct {
	base     *url.URL
	basePath string // what stands before every path, without a slash at its end
	timeout  time.Duration
	agent    string

	guard   *guard
	health  *health
	slots   *slots
	metrics *metrics

	polls    *fasthttp.HostClient
	contents contents

	forwards    *http.Transport
	stopRenewal func()
}

// Options is what a Client needs besides its configuration. All of it is needed.
type Options struct {
	Log       *slog.Logger
	Registry  prometheus.Registerer
	UserAgent string // of polls
}

// New makes a client of the upstream at cfg.URL; it opens no connection yet. The
// caller must Close it.
func New(cfg Config, breaker BreakerConfig, o Options) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	roots, err := cfg.RootCAs()
	if err != nil {
		return nil, fmt.Errorf("upstream: ca_file: %w", err)
	}
	d := &dialer{address: address(base), timeout: cfg.Timeout}
	if base.Scheme == "https" {
		d.tls = &tls.Config{RootCAs: roots, ServerName: base.Hostname(), MinVersion: tls.VersionTLS12}
	}
	c := &Client{
		base: base, basePath: strings.TrimSuffix(base.EscapedPath(), "/"), timeout: cfg.Timeout, agent: o.UserAgent,
		health:  &health{timeout: cfg.Timeout, probe: breaker.OpenFor / 4},
		slots:   newSlots(cfg),
		metrics: newMetrics(o.Registry, base.Host),
	}
	c.guard = newGuard(base.Host, breaker, o.Log, c.metrics.observeBreaker)
	c.polls = newPollPool(cfg, d)
	c.forwards = newForwardPool(cfg, d)
	c.stopRenewal = func() {}
	return c, nil
}

// Breaker returns the state of the circuit breaker: closed, half-open or open.
func (c *Client) Breaker() string { return c.guard.breaker.State().String() }

// Close closes idle connections and waits for what runs in the background. No call
// may be under way any more.
func (c *Client) Close() {
	c.stopRenewal()
	c.polls.CloseIdleConnections()
	c.guard.close()
}

func address(base *url.URL) string {
	port := base.Port()
	if port == "" {
		port = base.Scheme // the name of a service is an address too
	}
	return net.JoinHostPort(base.Hostname(), port)
}

// every calls f again and again until stop is called, which waits for it.
func every(interval time.Duration, f func()) (stop func()) {
	ticker, quit, done := time.NewTicker(interval), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f()
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// Host returns the host, and the port if there is one, of the upstream: the part of
// its URL that may be shown.
func (c *Client) Host() string { return c.base.Host }
