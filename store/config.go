package store

import (
	"fmt"
	"net"
	"strings"
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
	// Retain is how long a session is kept after its final state. More than 0.
	Retain time.Duration `yaml:"retain"`
	// History is how long events and attempts are kept. More than 0.
	History time.Duration `yaml:"history"`
	// EncryptionKeyFile holds the key that encrypts what is stored. Empty: a key
	// is made in Dir.
	EncryptionKeyFile string `yaml:"encryption_key_file"`
	// URL names an external NATS to use instead of the embedded one, or several of
	// its servers separated by commas. Empty: the embedded one.
	URL string `yaml:"url"`
	// Cluster joins the embedded engines of several instances.
	Cluster ClusterConfig `yaml:"cluster"`
}

// ClusterConfig says how the embedded engine meets its peers. The zero value
// means a single node.
type ClusterConfig struct {
	// Name of this node, unlike that of every other.
	Name string `yaml:"name"`
	// Listen is the address at which peers reach this node. Empty: no cluster.
	Listen string `yaml:"listen"`
	// Routes are the peers to join, each HOST:PORT or nats://[USER:PASSWORD@]HOST:PORT.
	Routes []string `yaml:"routes"`
}

// DefaultConfig is what applies where nothing else is said.
func DefaultConfig() Config {
	return Config{Dir: "./data", Sync: SyncAlways, Retain: 15 * time.Minute, History: 168 * time.Hour}
}

// Validate returns all mistakes in c, joined; each names its key. It looks
// whether EncryptionKeyFile can be read.
func (c Config) Validate() error {
	var m check.Mistakes
	if c.Dir == "" {
		m.Add("dir", "is empty: want a directory, such as ./data")
	}
	m.OneOf("sync", c.Sync, SyncAlways, SyncInterval)
	m.Want(c.Retain > 0, "retain", c.Retain, "more than 0s, such as 15m")
	m.Want(c.History > 0, "history", c.History, "more than 0s, such as 168h")
	if c.EncryptionKeyFile != "" {
		m.File("encryption_key_file", c.EncryptionKeyFile)
	}
	if c.URL != "" {
		for url := range strings.SplitSeq(c.URL, ",") {
			m.URLWithUser("url", strings.TrimSpace(url), "nats", "tls", "ws", "wss")
		}
	}
	c.validateCluster(&m)
	return m.Err()
}

func (c Config) validateCluster(m *check.Mistakes) {
	if c.Cluster.Listen != "" {
		m.Listen("cluster.listen", c.Cluster.Listen)
	}
	if c.Cluster.Listen == "" && (c.Cluster.Name != "" || len(c.Cluster.Routes) > 0) {
		m.Add("cluster.listen", "is not set, but other settings of the cluster are: want the HOST:PORT at which peers reach this node")
	}
	if c.Cluster.Listen != "" && c.URL != "" {
		m.Add("cluster.listen", "is set, and so is url: want the embedded cluster or an external NATS, not both")
	}
	for i, route := range c.Cluster.Routes {
		key := fmt.Sprintf("cluster.routes[%d]", i)
		if strings.Contains(route, "://") {
			m.URLWithUser(key, route, "nats")
			continue
		}
		_, _, err := net.SplitHostPort(route)
		m.Want(err == nil && !strings.ContainsAny(route, "@/ "), key, check.Redacted(route), "HOST:PORT or nats://HOST:PORT")
	}
}
