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
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config {
	return Config{Retain: 15 * time.Minute, History: 168 * time.Hour}
}

// Validate returns all mistakes in c, joined; each names its key. It reads
// EncryptionKeyFile.
func (c Config) Validate() error {
	var m check.Mistakes
	m.Want(c.Retain >= time.Second, "retain", c.Retain, "at least 1s, such as 15m")
	m.Want(c.History >= time.Second, "history", c.History, "at least 1s, such as 168h")
	if c.EncryptionKeyFile != "" && m.SecretFile("encryption_key_file", c.EncryptionKeyFile) {
		if _, err := readKeys(c.EncryptionKeyFile); err != nil {
			m.Add("encryption_key_file", "want a file that holds "+keyForms)
		}
	}
	return m.Err()
}
