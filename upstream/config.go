package upstream

import (
	"math"
	"net/url"
	"strings"
	"time"

	"pollbridge/internal/check"
)

// Config says where the upstream is and how much may be asked of it.
type Config struct {
	// URL is where the upstream answers: http or https, a host, and the base path
	// that its API stands under, if any. It must be set.
	URL string `yaml:"url"`
	// Timeout is how long a poll waits for the first byte of its answer, dialling
	// included, and for each further part of it. More than 0.
	Timeout time.Duration `yaml:"timeout"`
	// MaxInflight bounds the requests under way at the same time, polls and others.
	// At least 1.
	MaxInflight int `yaml:"max_inflight"`
	// Rate bounds the polls per second; 0 sets no limit.
	Rate float64 `yaml:"rate"`
	// CAFile holds, as PEM, the certificates of the authorities that may vouch for
	// the upstream, instead of those that the system trusts. Empty: the system's.
	CAFile string `yaml:"ca_file"`
	// ProxyURL is the proxy through which the upstream is reached: http, https or
	// socks5, which finds the upstream's address itself. It may carry a user and a
	// password, which are secrets. Empty: none; those of the environment are not read.
	ProxyURL string `yaml:"proxy_url" secret:"maybe"`
}

// DefaultConfig is what applies where nothing else is said. Its URL is empty, so
// it does not validate.
func DefaultConfig() Config {
	return Config{Timeout: 10 * time.Second, MaxInflight: 256}
}

// LongestPoll is how long a poll takes at most, with what it waits before it is sent.
func (c Config) LongestPoll() time.Duration {
	const waits = 2 // for the rate, and for those under way
	return waits*queueing + c.Timeout + bodyLimit*c.Timeout
}

// Validate returns all mistakes in c, joined; each names its key. It reads
// CAFile.
func (c Config) Validate() error {
	var m check.Mistakes
	if c.URL == "" {
		m.Add("url", "is not set: use --upstream URL, the environment variable POLLBRIDGE_UPSTREAM_URL, or upstream.url in the file")
	} else {
		m.URL("url", c.URL, "http", "https")
	}
	m.Want(c.Timeout > 0, "timeout", c.Timeout, "more than 0s, such as 10s")
	m.Want(c.MaxInflight >= 1, "max_inflight", c.MaxInflight, "at least 1")
	m.Want(c.Rate >= 0 && !math.IsInf(c.Rate, 0), "rate", c.Rate, "polls per second, or 0 for no limit")
	m.Authorities("ca_file", c.CAFile)
	if c.ProxyURL != "" {
		m.URLWithUser("proxy_url", c.ProxyURL, "http", "https", "socks5", "socks5h")
		if u, err := url.Parse(c.ProxyURL); err == nil && strings.Trim(u.Path, "/") != "" {
			m.Add("proxy_url", "has a path: want SCHEME://HOST:PORT, with USER:PASSWORD@ before the host if the proxy wants them")
		}
	}
	return m.Err()
}

// BreakerConfig says when the upstream counts as down.
type BreakerConfig struct {
	// Window is how far back failures are counted, of each session at most one. More
	// than 0.
	Window time.Duration `yaml:"window"`
	// MinRequests is how many sessions a window must hold before their failures say
	// anything: fewer, but at least 3, if fewer are under way. At least 1.
	MinRequests int `yaml:"min_requests"`
	// FailureRatio of them opens the breaker: more than 0, at most 1.
	FailureRatio float64 `yaml:"failure_ratio"`
	// OpenFor is the longest that the end of an outage goes unnoticed while
	// clients poll. More than 0.
	OpenFor time.Duration `yaml:"open_for"`
	// Probes is how many requests may test an upstream that was down, and how many
	// of them must succeed before it counts as up. At least 1.
	Probes int `yaml:"probes"`
}

// DefaultBreakerConfig is what applies where nothing else is said.
func DefaultBreakerConfig() BreakerConfig {
	return BreakerConfig{
		Window: 10 * time.Second, MinRequests: 10, FailureRatio: 0.5,
		OpenFor: 5 * time.Second, Probes: 3,
	}
}

// Validate returns all mistakes in c, joined; each names its key.
func (c BreakerConfig) Validate() error {
	var m check.Mistakes
	m.Want(c.Window > 0, "window", c.Window, "more than 0s, such as 10s")
	m.Want(c.MinRequests >= 1, "min_requests", c.MinRequests, "at least 1")
	m.Want(c.FailureRatio > 0 && c.FailureRatio <= 1, "failure_ratio", c.FailureRatio, "more than 0 and at most 1, such as 0.5")
	m.Want(c.OpenFor > 0, "open_for", c.OpenFor, "more than 0s, such as 5s")
	m.Want(c.Probes >= 1, "probes", c.Probes, "at least 1")
	return m.Err()
}
