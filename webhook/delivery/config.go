package delivery

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"pollbridge/internal/check"
	"pollbridge/webhook/send"
)

// Config says how events are delivered, and where they may go.
type Config struct {
	send.Config `yaml:",inline"` // timeout, allow_http, allow_networks, allow_ports, ca_file
	// Retries are the waits before each further attempt; none means that the first
	// attempt is the only one. Each is more than 0.
	Retries []time.Duration `yaml:"retries"`
	// Concurrency bounds the attempts under way for one subscription. At least 1.
	Concurrency int `yaml:"concurrency"`
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

// Validate returns all mistakes in c, joined; each names its key. It reads CAFile.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Within("", c.Config.Validate())
	for i, wait := range c.Retries {
		m.Want(wait > 0, fmt.Sprintf("retries[%d]", i), wait, "more than 0s, such as 30s")
	}
	m.Want(c.Concurrency >= 1, "concurrency", c.Concurrency, "at least 1")
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

// spread is the part of a wait by which jitter changes it at most.
const spread = 0.1

// jitter spreads a wait, so that what failed together is not repeated together.
func jitter(wait time.Duration) time.Duration {
	return time.Duration(float64(wait) * (1 - spread + 2*spread*rand.Float64()))
}
