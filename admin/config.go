package admin

import (
	"fmt"
	"strings"

	"pollbridge/internal/certificate"
	"pollbridge/internal/check"
)

// MinKeyLength is the least number of characters of a key.
const MinKeyLength = 16

// Config says where the management API listens and who may use it.
type Config struct {
	// Listen is the address of the management API, HOST:PORT.
	Listen string `yaml:"listen"`
	// Keys are the bearer tokens that open the management API, each of at least
	// [MinKeyLength] characters. With none, only the probes and the description can be
	// seen, and from this machine the metrics; see [KeyFile].
	Keys []string `yaml:"keys" secret:"true"`
	// TLS makes the listener speak https. The zero value means http.
	TLS certificate.Files `yaml:"tls"`
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8090"}
}

// Validate returns all mistakes in c, joined; each names its key, and none
// repeats a secret. It reads the files of TLS.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Listen("listen", c.Listen)
	for i, key := range c.Keys {
		if len(key) < MinKeyLength || !isToken(key) {
			m.Add(fmt.Sprintf("keys[%d]", i), fmt.Sprintf(
				"want at least %d visible ASCII characters (the value is not shown)", MinKeyLength))
		}
	}
	c.TLS.Check(&m, "tls")
	return m.Err()
}

// isToken tells whether a key survives the way through an Authorization header.
func isToken(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}
