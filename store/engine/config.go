package engine

import (
	"os"
	"path/filepath"

	"pollbridge/internal/check"
)

// When a write reaches the disk.
const (
	SyncAlways   = "always"   // before it is acknowledged
	SyncInterval = "interval" // a little later: the last moments are lost with the power
)

// Config says where the server keeps its files, and how safely.
type Config struct {
	// Dir is the directory that holds everything durable.
	Dir string `yaml:"dir"`
	// Sync is [SyncAlways] or [SyncInterval].
	Sync string `yaml:"sync"`
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config { return Config{Dir: "./data", Sync: SyncAlways} }

// Validate returns all mistakes in c, joined; each names its key.
func (c Config) Validate() error {
	var m check.Mistakes
	if c.Dir == "" {
		m.Add("dir", "is empty: want a directory, such as ./data")
	} else if blocked := notDirectory(c.Dir); blocked != "" {
		m.Want(false, "dir", c.Dir, "a directory, but "+blocked+" is a file")
	}
	m.OneOf("sync", c.Sync, SyncAlways, SyncInterval)
	return m.Err()
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
