package cluster

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"pollbridge/internal/check"
)

// Config says how the JetStream of a NATS cluster is reached, and what is made there.
type Config struct {
	// URL names servers of the cluster, separated by commas. Empty: there is no cluster.
	URL string `yaml:"url" secret:"maybe"`
	// CredentialsFile holds a user's JWT and seed, as nsc writes them.
	CredentialsFile string `yaml:"credentials_file" secret:"maybe"`
	// CAFile is what the servers' certificates are checked against, instead of the system's
	// authorities. CertFile and KeyFile are shown to servers that ask for a certificate.
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file" secret:"maybe"`
	// Replicas is how many servers keep what is stored.
	Replicas int `yaml:"replicas"`
	// Prefix begins the names of everything in the cluster.
	Prefix string `yaml:"prefix"`
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config { return Config{Replicas: 3, Prefix: "pollbridge"} }

// Validate returns all mistakes in c, joined; each names its key. It reads the files that
// settings name.
func (c Config) Validate() error {
	var m check.Mistakes
	if c.URL == "" {
		c.validateAlone(&m)
		return m.Err()
	}
	for server := range strings.SplitSeq(c.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
			m.Add("url", "want servers such as nats://a.example:4222,nats://b.example:4222 (or tls://, ws://, wss://); the value is not shown, as it may hold a password")
			break
		}
	}
	if c.CredentialsFile != "" {
		m.SecretFile("credentials_file", c.CredentialsFile)
	}
	m.Authorities("ca_file", c.CAFile)
	m.KeyPair("cert_file", c.CertFile, "key_file", c.KeyFile)
	m.Want(c.Replicas >= 1 && c.Replicas <= 5, "replicas", c.Replicas, "1 to 5; 3 survive the loss of one server")
	m.Want(prefixes.MatchString(c.Prefix), "prefix", c.Prefix, "letters, digits, - and _, at most 32 of them")
	return m.Err()
}

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// validateAlone refuses settings that would be without effect.
func (c Config) validateAlone(m *check.Mistakes) {
	standard := DefaultConfig()
	for _, setting := range []struct {
		key  string
		left bool
	}{
		{"credentials_file", c.CredentialsFile == ""}, {"ca_file", c.CAFile == ""}, {"cert_file", c.CertFile == ""},
		{"key_file", c.KeyFile == ""}, {"replicas", c.Replicas == standard.Replicas}, {"prefix", c.Prefix == standard.Prefix},
	} {
		if !setting.left {
			m.Add(setting.key, "is set, but url is not: it would have no effect")
		}
	}
}
