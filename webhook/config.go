package webhook

import (
	"maps"
	"slices"
	"strings"

	"pollbridge/internal/check"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/signature"
)

// Config says how events are delivered, where they may go, and where requests may ask for
// them to go.
type Config struct {
	delivery.Config `yaml:",inline"` // timeout, allow_…, ca_file, retries, concurrency
	// HeaderHosts are the hosts that a request may name in its Pollbridge-Webhook
	// header, each with the secret that signs what goes there: whsec_ and the
	// base64 of 24 to 64 bytes. None turns the header off.
	HeaderHosts map[string]string `yaml:"header_hosts" secret:"true"`
}

// DefaultConfig is what applies where nothing else is said. The caller owns what
// it holds.
func DefaultConfig() Config { return Config{Config: delivery.DefaultConfig()} }

// Validate returns all mistakes in c, joined; each names its key, and none
// repeats a secret. It reads CAFile.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Within("", c.Config.Validate())
	c.validateHeaderHosts(&m)
	return m.Err()
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
