package webhook

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"pollbridge/internal/check"
)

// Config says how events are delivered, and where they may go.
type Config struct {
	// Timeout bounds one attempt, from dialling to the head of the answer. More
	// than 0.
	Timeout time.Duration `yaml:"timeout"`
	// Retries are the waits before each further attempt; none means that the first
	// attempt is the only one. Each is more than 0.
	Retries []time.Duration `yaml:"retries"`
	// Concurrency bounds the attempts under way for one subscription. At least 1.
	Concurrency int `yaml:"concurrency"`
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
	// HeaderHosts are the hosts that a request may name in its Pollbridge-Webhook
	// header, each with the secret that signs what goes there: whsec_ and the
	// base64 of 24 to 64 bytes. None turns the header off.
	HeaderHosts map[string]string `yaml:"header_hosts" secret:"true"`
}

// DefaultConfig is what applies where nothing else is said. The caller owns what
// it holds.
func DefaultConfig() Config {
	return Config{
		Timeout: 15 * time.Second,
		Retries: []time.Duration{
			5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
			2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		},
		Concurrency: 8,
		AllowPorts:  []int{443, 8443},
	}
}

// Validate returns all mistakes in c, joined; each names its key, and none
// repeats a secret. It reads CAFile.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Want(c.Timeout > 0, "timeout", c.Timeout, "more than 0s, such as 15s")
	for i, wait := range c.Retries {
		m.Want(wait > 0, fmt.Sprintf("retries[%d]", i), wait, "more than 0s, such as 30s")
	}
	m.Want(c.Concurrency >= 1, "concurrency", c.Concurrency, "at least 1")
	if len(c.AllowPorts) == 0 {
		m.Add("allow_ports", "is empty: want at least one port, such as 443")
	}
	for i, port := range c.AllowPorts {
		m.Want(port >= 1 && port <= 65535, fmt.Sprintf("allow_ports[%d]", i), port, "a port between 1 and 65535")
	}
	if _, err := c.authorities(); err != nil {
		m.Want(false, "ca_file", c.CAFile, fmt.Sprintf("a PEM file with at least one certificate, but: %v", err))
	}
	c.validateHeaderHosts(&m)
	return m.Err()
}

// authorities returns what CAFile holds, or nil without one.
func (c Config) authorities() ([]byte, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, check.Reason(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in it")
	}
	return pem, nil
}

func (c Config) validateHeaderHosts(m *check.Mistakes) {
	for _, host := range slices.Sorted(maps.Keys(c.HeaderHosts)) {
		if !isHost(host) {
			m.AddEntry("header_hosts", host, "want a host name in lower case, without scheme, port and path, and then its secret (neither is shown)")
		} else if !isSecret(c.HeaderHosts[host]) {
			m.AddEntry("header_hosts", host, "want a host and then its secret: whsec_ and the base64 of 24 to 64 random bytes (neither is shown)")
		}
	}
}

func isHost(host string) bool {
	return host != "" && host == strings.ToLower(host) && !strings.ContainsAny(host, ":/@?#[] ")
}

func isSecret(secret string) bool {
	_, err := secretKey(secret)
	return err == nil
}
