package send

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	"pollbridge/internal/check"
)

// Config says where webhooks may go, and how long an attempt may take.
type Config struct {
	// Timeout bounds one attempt, from the name server to the end of what is read of
	// the answer. More than 0.
	Timeout time.Duration `yaml:"timeout"`
	// AllowHTTP lets webhooks go to http URLs, unencrypted.
	AllowHTTP bool `yaml:"allow_http"`
	// AllowNetworks are private or otherwise refused networks that webhooks may
	// reach all the same.
	AllowNetworks []netip.Prefix `yaml:"allow_networks"`
	// AllowPorts are the ports that webhooks may reach. At least one.
	AllowPorts []int `yaml:"allow_ports"`
	// CAFile holds, as PEM, certificates of authorities that may vouch for receivers,
	// besides those that the system trusts. Empty: none.
	CAFile string `yaml:"ca_file"`
}

// DefaultConfig is what applies where nothing else is said. The caller owns what
// it holds.
func DefaultConfig() Config {
	return Config{Timeout: 15 * time.Second, AllowPorts: []int{443, 8443}}
}

// Validate returns all mistakes in c, joined; each names its key. It reads CAFile.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Want(c.Timeout > 0, "timeout", c.Timeout, "more than 0s, such as 15s")
	if len(c.AllowPorts) == 0 {
		m.Add("allow_ports", "is empty: want at least one port, such as 443")
	}
	for i, port := range c.AllowPorts {
		m.Want(port >= 1 && port <= 65535, fmt.Sprintf("allow_ports[%d]", i), port, "a port between 1 and 65535")
	}
	m.Authorities("ca_file", c.CAFile)
	return m.Err()
}

// trusted returns the authorities that may vouch for receivers: those given, else the
// system's, and besides them those of CAFile. Nil means the system's alone.
func (c Config) trusted(given *x509.CertPool) (*x509.CertPool, error) {
	switch {
	case c.CAFile == "":
		return given, nil
	case given != nil:
		given = given.Clone()
	default:
		var err error
		if given, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("reading the certificates that the system trusts: %w", err)
		}
	}
	roots, err := check.Authorities(c.CAFile, given)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return roots, nil
}
