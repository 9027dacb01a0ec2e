package webhook

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"pollbridge/internal/check"
	"pollbridge/webhook/send"
	"pollbridge/webhook/signature"
)

// Config says how events are delivered, and where they may go.
type Config struct {
	send.Config `yaml:",inline"` // timeout, allow_http, allow_networks, allow_ports, ca_file
	// Retries are the waits before each further attempt; none means that the first
	// attempt is the only one. Each is more than 0.
	Retries []time.Duration `yaml:"retries"`
	// Concurrency bounds the attempts under way for one subscription. At least 1.
	Concurrency int `yaml:"concurrency"`
	// HeaderHosts are the hosts that a request may name in its Pollbridge-Webhook
	// header, each with the secret that signs what goes there: whsec_ and the
	// base64 of 24 to 64 bytes. None turns the header off.
	HeaderHosts map[string]string `yaml:"header_hosts" secret:"true"`
}

// DefaultConfig is what applies where nothing else is said. The caller owns what
// it holds.
func DefaultConfig() Config {
	return Config{
		Config: send.DefaultConfig(),
		Retries: []time.Duration{
			5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
			2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		},
		Concurrency: 8,
	}
}

// Validate returns all mistakes in c, joined; each names its key, and none
// repeats a secret. It reads CAFile.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Within("", c.Config.Validate())
	for i, wait := range c.Retries {
		m.Want(wait > 0, fmt.Sprintf("retries[%d]", i), wait, "more than 0s, such as 30s")
	}
	m.Want(c.Concurrency >= 1, "concurrency", c.Concurrency, "at least 1")
	c.validateHeaderHosts(&m)
	return m.Err()
}

// LongestDelivery is how long after its event the last attempt of a delivery may end, to
// the second, if no receiver asks for more time: each retry as late as it can be, and each
// attempt for as long as it may take.
func (c Config) LongestDelivery() time.Duration {
	total := float64(c.Timeout)
	for _, wait := range c.Retries {
		total += float64(wait)*(1+spread) + float64(c.Timeout)
	}
	seconds := math.Ceil(math.Round(total) / float64(time.Second))
	if seconds >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(seconds) * time.Second
}

func (c Config) validateHeaderHosts(m *check.Mistakes) {
	for _, host := range slices.Sorted(maps.Keys(c.HeaderHosts)) {
		if !isHost(host) {
			m.AddEntry("header_hosts", host, "want a host name in lower case, without scheme, port and path, and then its secret (neither is shown)")
		} else if !signature.IsSecret(c.HeaderHosts[host]) {
			m.AddEntry("header_hosts", host, "want a host and then its secret: whsec_ and the base64 of 24 to 64 random bytes (neither is shown)")
		}
	}
}

func isHost(host string) bool {
	return host != "" && host == strings.ToLower(host) && !strings.ContainsAny(host, ":/@?#[] ")
}
