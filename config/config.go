package config

import (
	"fmt"
	"net"
	"slices"

	"pollbridge/admin"
	"pollbridge/cache"
	"pollbridge/internal/check"
	"pollbridge/internal/settings"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/store/cluster"
	"pollbridge/store/engine"
	"pollbridge/tracing/otlp"
	"pollbridge/upstream"
	"pollbridge/watch"
	"pollbridge/webhook"
)

// Config is every setting of the program, in the order in which it is printed.
type Config struct {
	Proxy    proxy.Config    `yaml:",inline"` // listen, tls, trusted_proxies
	Upstream upstream.Config `yaml:"upstream"`
	// Dialect is one of [session.Dialects].
	Dialect string `yaml:"dialect"`
	// Endpoints describe the upstream of the dialect "custom", and only that.
	Endpoints []session.EndpointConfig `yaml:"endpoints"`
	Cache     cache.Config             `yaml:"cache"`
	Breaker   upstream.BreakerConfig   `yaml:"breaker"`
	Watch     watch.Config             `yaml:"watch"`
	Webhook   webhook.Config           `yaml:"webhook"`
	Store     StoreConfig              `yaml:"store"`
	Admin     admin.Config             `yaml:"admin"`
	Log       LogConfig                `yaml:"log"`
	Tracing   otlp.Config              `yaml:"tracing"`

	read *settings.Reading
}

// StoreConfig says where what must survive is kept, for how long, and how.
type StoreConfig struct {
	Engine engine.Config  `yaml:",inline"` // dir, sync
	Data   store.Config   `yaml:",inline"`
	NATS   cluster.Config `yaml:"nats"`
}

// Default is what applies where nothing else is said. It lacks the upstream's
// URL, the only setting without a default.
func Default() *Config {
	return &Config{
		Proxy:    proxy.DefaultConfig(),
		Upstream: upstream.DefaultConfig(),
		Dialect:  "marksign",
		Cache:    cache.DefaultConfig(),
		Breaker:  upstream.DefaultBreakerConfig(),
		Watch:    watch.DefaultConfig(),
		Webhook:  webhook.DefaultConfig(),
		Store:    StoreConfig{engine.DefaultConfig(), store.DefaultConfig(), cluster.DefaultConfig()},
		Admin:    admin.DefaultConfig(),
		Log:      LogConfig{Level: "info", Format: "text"},
		read:     &settings.Reading{},
	}
}

// Validate returns all mistakes in c, joined, or nil; each names its key. It reads the
// files that settings name, and for tracing the environment.
func (c *Config) Validate() error {
	var m check.Mistakes
	m.Within("", c.Proxy.Validate())
	m.Within("upstream", c.Upstream.Validate())
	c.validateEndpoints(&m)
	m.Within("cache", c.Cache.Validate())
	m.Within("breaker", c.Breaker.Validate())
	m.Within("watch", c.Watch.Validate())
	m.Within("webhook", c.Webhook.Validate())
	c.validateStore(&m)
	if c.Store.NATS.URL != "" && len(c.Admin.Keys) == 0 { // each replica would make one for itself
		m.Add("admin.keys", "is empty, but store.nats.url is set: all replicas need the same keys (or POLLBRIDGE_ADMIN_KEY)")
	}
	m.Within("admin", c.Admin.Validate())
	m.Within("log", c.Log.Validate())
	m.Within("tracing", c.Tracing.Validate())

	m.Want(!overlap(c.Admin.Listen, c.Proxy.Listen), "admin.listen", c.Admin.Listen, "another port than listen, or other addresses")
	m.Want(c.Watch.Schedule != watch.Fixed || c.Watch.Interval >= c.Cache.PendingTTL, "watch.interval", c.Watch.Interval,
		"at least cache.pending_ttl, which is "+check.Text(c.Cache.PendingTTL)+": with schedule fixed, a poll before that would learn nothing new")
	longest := c.Webhook.LongestDelivery()
	m.Want(c.Store.Data.History >= longest, "store.history", c.Store.Data.History,
		"at least "+check.Text(longest)+", which is how long webhook.retries and webhook.timeout go on with one event: they need it until the last attempt")
	return m.Err()
}

func (c *Config) validateStore(m *check.Mistakes) {
	m.Within("store", c.Store.Engine.Validate())
	m.Within("store", c.Store.Data.Validate())
	m.Within("store.nats", c.Store.NATS.Validate())
	if c.Store.NATS.URL != "" && c.Store.Data.EncryptionKeyFile == "" {
		m.Add("store.encryption_key_file", "is not set, but store.nats.url is: all replicas need the same key")
	}
}

// overlap tells whether two listeners would fight for an address.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	every := func(host string) bool { ip := net.ParseIP(host); return host == "" || ip != nil && ip.IsUnspecified() }
	return hostA == hostB || every(hostA) || every(hostB)
}

// SessionEndpoints returns the status APIs of the dialect, or those that
// Endpoints describe. The caller owns the slice.
func (c *Config) SessionEndpoints() ([]session.Endpoint, error) {
	if c.Dialect != session.DialectCustom {
		endpoints, known := session.Dialect(c.Dialect)
		if !known {
			return nil, fmt.Errorf("dialect %q is not known", c.Dialect)
		}
		return endpoints, nil
	}
	var endpoints []session.Endpoint
	var m check.Mistakes
	for i, described := range c.Endpoints {
		endpoint, err := session.NewEndpoint(described)
		m.Within(fmt.Sprintf("endpoints[%d]", i), err)
		endpoints = append(endpoints, endpoint)
	}
	return endpoints, m.Err()
}

func (c *Config) validateEndpoints(m *check.Mistakes) {
	m.OneOf("dialect", c.Dialect, session.Dialects()...)
	custom := c.Dialect == session.DialectCustom
	if custom && len(c.Endpoints) == 0 {
		m.Add("endpoints", "is empty, but the dialect custom needs at least one endpoint")
	}
	if !custom && len(c.Endpoints) > 0 {
		m.Add("endpoints", "is set, but only the dialect custom takes endpoints")
	}
	endpoints, err := c.SessionEndpoints()
	if err != nil {
		if custom {
			m.Within("", err)
		}
		return
	}
	_, err = session.NewTable(endpoints)
	m.Within("endpoints", err)
	for _, e := range endpoints {
		if e.Credential.In == session.InQuery && slices.Contains(c.Cache.IgnoredQueryFields, e.Credential.Name) {
			m.Add("cache.ignored_query_fields", fmt.Sprintf("holds %q, the field that carries the credential of the endpoint %s: leave it out", e.Credential.Name, e.Name))
			return
		}
	}
}
