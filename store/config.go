package store

import (
	"os"
	"path/filepath"
	"time"

	"pollbridge/internal/check"
)

// When a write reaches the disk.
const (
	SyncAlways   = "always"   // before it is acknowledged
	SyncInterval = "interval" // a little later: the last moments are lost with the power
)

// Config says where what must survive a restart is kept, and for how long.
type Config struct {
	// Dir is the directory that holds everything durable.
	Dir string `yaml:"dir"`
	// Sync is [SyncAlways] or [SyncInterval].
	Sync string `yaml:"sync"`
	// Retain is how long a session is kept after its final state. At least a second.
	Retain time.Duration `yaml:"retain"`
	// History is how long events and attempts are kept. At least a second.
	History time.Duration `yaml:"history"`
	// EncryptionKeyFile holds the key that encrypts what is stored. Empty: a key
	// is made in Dir.
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
	return Config{Dir: "./data", Sync: SyncAlways, Retain: 15 * time.Minute, History: 168 * time.Hour, NATS: defaultNATS}
}

// notDirectory returns what stands in the way of a directory at path, or nothing.
func notDirectory(path string) string {
	for {
		info, err := os.Stat(path)
		switch parent := filepath.Dir(path); {
		case err == nil && info.IsDir(), err != nil && parent == path:
			return ""
		case err == nil:
			return path
		default:
			path = parent
		}
	}
}

var defaultNATS = NATSConfig{Replicas: 3, Prefix: "pollbridge"}

// Validate returns all mistakes in c, joined; each names its key. It reads
// EncryptionKeyFile.
func (c Config) Validate() error {
	var m check.Mistakes
	if c.Dir == "" {
		m.Add("dir", "is empty: want a directory, such as ./data")
	} else if blocked := notDirectory(c.Dir); blocked != "" {
		m.Want(false, "dir", c.Dir, "a directory, but "+blocked+" is a file")
	}
	m.OneOf("sync", c.Sync, SyncAlways, SyncInterval)
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
