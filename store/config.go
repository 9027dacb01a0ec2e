package store

import (
	"time"

	"pollbridge/internal/check"
)

// Config says for how long what must survive a restart is kept, and how.
type Config struct {
	// Retain is how long a session is kept after its final state. At least a second.
	Retain time.Duration `yaml:"retain"`
	// History is how long events and attempts are kept. At least a second.
	History time.Duration `yaml:"history"`
	// EncryptionKeyFile holds the key that encrypts what is stored. Empty: a key
	// is made in the data directory.
	EncryptionKeyFile string `yaml:"encryption_key_file" secret:"maybe"`
	// NATS is for a fleet. It must be what DefaultConfig says.
	NATS NATSConfig `yaml:"nats"`
}

// NATSConfig says how the JetStream of a NATS cluster is reached, and what is made
// there.
type NATSConfig struct {
	// URL names servers of the cluster, separated by commas.
	URL string `yaml:"url" secret:"maybe"`
	// CredentialsFile, CAFile, CertFile and KeyFile are what the servers ask for.
	CredentialsFile string `yaml:"credentials_file" secret:"maybe"`
	CAFile          string `yaml:"ca_file"`
	CertFile        string `yaml:"cert_file"`
	KeyFile         string `yaml:"key_file" secret:"maybe"`
	// Replicas is how many servers keep what is stored.
	Replicas int `yaml:"replicas"`
	// Prefix begins the names of everything in the cluster.
	Prefix string `yaml:"prefix"`
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config {
	return Config{Retain: 15 * time.Minute, History: 168 * time.Hour, NATS: defaultNATS}
}

var defaultNATS = NATSConfig{Replicas: 3, Prefix: "pollbridge"}

// Validate returns all mistakes in c, joined; each names its key. It reads
// EncryptionKeyFile.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Want(c.Retain >= time.Second, "retain", c.Retain, "at least 1s, such as 15m")
	m.Want(c.History >= time.Second, "history", c.History, "at least 1s, such as 168h")
	if c.EncryptionKeyFile != "" && m.SecretFile("encryption_key_file", c.EncryptionKeyFile) {
		if _, err := readKey(c.EncryptionKeyFile); err != nil {
			m.Add("encryption_key_file", "want a file that holds 32 bytes, raw, in hex or in base64 (openssl rand -hex 32)")
		}
	}
	m.NotBuilt(c.NATS.URL == "", "nats.url")
	m.NotBuilt(c.NATS.CredentialsFile == "", "nats.credentials_file")
	m.NotBuilt(c.NATS.CAFile == "", "nats.ca_file")
	m.NotBuilt(c.NATS.CertFile == "", "nats.cert_file")
	m.NotBuilt(c.NATS.KeyFile == "", "nats.key_file")
	m.NotBuilt(c.NATS.Replicas == defaultNATS.Replicas, "nats.replicas")
	m.NotBuilt(c.NATS.Prefix == defaultNATS.Prefix, "nats.prefix")
	return m.Err()
}
