package upstream

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"pollbridge/session"
	"pollbridge/tracing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

const (
	// connectionAge bounds how long a connection is used, so that a change of the
	// upstream's address in DNS is noticed, and connectionIdle how long it is not.
	connectionAge  = time.Minute
	connectionIdle = 10 * time.Second

	// maxAnswer is the largest answer to a poll, in bytes: twice the largest document
	// that is known, in base64. maxHead is the largest head of any answer.
	maxAnswer = 64 << 20
	maxHead   = 64 << 10
)

// Client talks to the upstream. It is safe for concurrent use. Create it with New.
type Client struct {
	base      *url.URL
	basePath  string        // what stands before every path, without a slash at its end
	origin    string        // what stands before that in the request line; for a proxy only
	proxyAuth string        // Proxy-Authorization, likewise
	silence   time.Duration // what passes through may stand still
	agent     string
	idle      int // connections that are kept for what passes through
	seed      maphash.Seed

	breaker   *breaker
	timeouts  *timeouts
	inflight  *inflight
	rate      *rateQueue
	holds     holds
	redirects *redirects
	metrics   *metrics
	held      func(*session.Variant, int, time.Duration)
	tracer    *tracing.Tracer
	peer      tracing.Peer

	dialer   *dialer
	polls    *fasthttp.HostClient
	contents contents

	mu           sync.Mutex
	forwards     *http.Transport // guarded by mu
	forwardsMade time.Time       // guarded by mu
}

// Options is what a Client needs besides its configuration. All of it is needed where nothing
// else is said.
type Options struct {
	Log       *slog.Logger
	Registry  prometheus.Registerer
	UserAgent string // of polls
	// Held is told when a poll was answered that the upstream wants no more of them for a
	// while: with 429 none of that credential, with 503 none of that session. It must not
	// block. Nil: nobody wants to know.
	Held func(v *session.Variant, status int, wait time.Duration)
	// Tracer makes the spans of requests. Nil: there are none, and no field of a header says so.
	Tracer *tracing.Tracer
}

// New makes a client of the upstream at cfg.URL; it opens no connection yet. The
// caller must Close it.
func New(cfg Config, breaker BreakerConfig, o Options) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	d, err := newDialer(cfg, base)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if cfg.ProxyURL == "" {
		warnOfProxies(o.Log)
	}
	metrics := newMetrics(o.Registry, base.Host)
	c := &Client{
		base: base, basePath: strings.TrimSuffix(base.EscapedPath(), "/"), silence: max(forwardTimeout, cfg.Timeout), agent: o.UserAgent,
		idle: cfg.MaxInflight, seed: maphash.MakeSeed(),
		breaker:   newBreaker(base.Host, breaker, o.Log, metrics.breaker),
		timeouts:  &timeouts{whole: cfg.Timeout, short: breaker.OpenFor / 4},
		inflight:  newInflight(cfg.MaxInflight),
		rate:      newRateQueue(cfg.Rate),
		redirects: newRedirects(o.Log),
		metrics:   metrics,
		held:      o.Held,
		tracer:    o.Tracer,
		peer:      tracing.PeerOf(base),
		dialer:    d,
		polls:     newPollClient(cfg, d),
	}
	if d.absolute() {
		c.origin, c.proxyAuth = base.Scheme+"://"+base.Host, d.authorization()
	}
	return c, nil
}

// warnOfProxies names the variables that other programs would obey.
func warnOfProxies(log *slog.Logger) {
	var set []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		if os.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	if set != nil {
		log.Warn("the proxy of the environment is not used; set upstream.proxy_url", "variables", strings.Join(set, ","))
	}
}

// Breaker returns the state of the circuit breaker: closed, half-open or open.
func (c *Client) Breaker() string { return c.breaker.circuit.State().String() }

// Hold is told what another process was: see Options.Held.
func (c *Client) Hold(v *session.Variant, status int, wait time.Duration) {
	c.holds.told(c.caller(v), status, wait)
}

// Reach opens a connection to the upstream and closes it again. It fails where that cannot be
// reached.
func (c *Client) Reach(ctx context.Context) error {
	conn, err := c.dialer.dial(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Close closes idle connections and waits for what runs in the background. No call
// may be under way any more.
func (c *Client) Close() {
	c.polls.CloseIdleConnections()
	c.transport().CloseIdleConnections()
	c.rate.close()
}

// Host returns the host, and the port if there is one, of the upstream: the part of
// its URL that may be shown.
func (c *Client) Host() string { return c.base.Host }

// caller is who asks, by keyed hashes that reveal nothing.
type caller struct{ session, credential uint64 }

func (c *Client) caller(v *session.Variant) caller {
	return caller{
		session:    maphash.Comparable(c.seed, [3]string{v.Endpoint.Name, v.Token, v.Credential}),
		credential: maphash.String(c.seed, v.Credential),
	}
}
