package proxy

import (
	"net/netip"

	"pollbridge/internal/certificate"
	"pollbridge/internal/check"
)

// Config says how clients reach the public listener.
type Config struct {
	// Listen is the address of the public listener, HOST:PORT.
	Listen string `yaml:"listen"`
	// TLS makes the listener speak https. The zero value means http.
	TLS certificate.Files `yaml:"tls"`
	// TrustedProxies are the networks whose X-Forwarded-* fields are believed.
	// None believes nobody's.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config {
	return Config{Listen: ":8080"}
}

// Validate returns all mistakes in c, joined; each names its key. It reads the
// files of TLS.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Listen("listen", c.Listen)
	c.TLS.Check(&m, "tls")
	return m.Err()
}
