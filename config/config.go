package config

import (
	"fmt"
	"strings"

	"pollbridge/admin"
	"pollbridge/cache"
	"pollbridge/internal/check"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/store"
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
	Store     store.Config             `yaml:"store"`
	Admin     admin.Config             `yaml:"admin"`
	Log       LogConfig                `yaml:"log"`
	Tracing   TracingConfig            `yaml:"tracing"`

	sources sources // what the user set
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
		Store:    store.DefaultConfig(),
		Admin:    admin.DefaultConfig(),
		Log:      DefaultLogConfig(),
	}
}

// Validate returns all mistakes in c as an [*Error], or nil. It reads the files
// that settings name.
func (c *Config) Validate() error {
	e := &Error{}
	for _, section := range []struct {
		name string
		err  error
	}{
		{"", c.Proxy.Validate()},
		{"upstream", c.Upstream.Validate()},
		{"", c.validateEndpoints()},
		{"cache", c.Cache.Validate()},
		{"breaker", c.Breaker.Validate()},
		{"watch", c.Watch.Validate()},
		{"webhook", c.Webhook.Validate()},
		{"store", c.Store.Validate()},
		{"admin", c.Admin.Validate()},
		{"", c.validateListeners()},
		{"log", c.Log.Validate()},
		{"tracing", c.Tracing.Validate()},
	} {
		for _, m := range check.All(section.err) {
			key := join(section.name, m.Key)
			e.add(Mistake{Key: key, Value: m.Value, Problem: m.Problem, Source: c.sources.of(key)})
		}
	}
	return e.orNil()
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
	for i, described := range c.Endpoints {
		endpoint, err := session.NewEndpoint(described)
		if err != nil {
			return nil, fmt.Errorf("endpoints[%d]: %w", i, err)
		}
		endpoints = append(endpoints, endpoint)
	}
	return endpoints, nil
}

func (c *Config) validateEndpoints() error {
	var m check.Mistakes
	m.OneOf("dialect", c.Dialect, session.Dialects()...)
	custom := c.Dialect == session.DialectCustom
	if custom && len(c.Endpoints) == 0 {
		m.Add("endpoints", "is empty: the dialect custom needs at least one endpoint")
	}
	if !custom && len(c.Endpoints) > 0 {
		m.Add("endpoints", "is set: only the dialect custom takes endpoints, the others bring theirs")
	}
	for i, described := range c.Endpoints {
		_, err := session.NewEndpoint(described)
		for _, problem := range check.All(err) {
			m.Add(fmt.Sprintf("endpoints[%d]", i), problem.Problem)
		}
	}
	if endpoints, err := c.SessionEndpoints(); err == nil {
		_, err = session.NewTable(endpoints)
		for _, problem := range check.All(err) {
			m.Add("endpoints", problem.Problem)
		}
	}
	return m.Err()
}

// validateListeners finds addresses that two listeners would fight for.
func (c *Config) validateListeners() error {
	var m check.Mistakes
	anyFree := strings.HasSuffix(c.Admin.Listen, ":0")
	m.Want(anyFree || c.Admin.Listen != c.Proxy.Listen, "admin.listen", c.Admin.Listen, "another address than listen")
	return m.Err()
}
