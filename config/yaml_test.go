package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pollbridge/cache"
	"pollbridge/config"
)

// TestYAML fixes what an operator reads: every default, in the order of the
// documentation.
func TestYAML(t *testing.T) {
	c := load(t, config.Sources{
		File:  file(t, "webhook:\n  retries: [1s]\n"),
		Env:   []string{"POLLBRIDGE_ADMIN_KEY=0123456789abcdef", "POLLBRIDGE_WEBHOOK_HEADER_HOSTS=a.test=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"},
		Flags: map[string]any{"upstream.url": "https://upstream.test/api"},
	})
	var text strings.Builder
	if err := c.YAML(&text); err != nil {
		t.Fatal(err)
	}
	got := regexpPath.ReplaceAllString(text.String(), "file PATH:")
	want, err := os.ReadFile(filepath.Join("testdata", "effective.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("YAML() =\n%s\nwant\n%s", got, want)
	}
}

func TestYAMLHidesTheUserOfAURL(t *testing.T) {
	c := load(t, config.Sources{Env: []string{urlVariable, "POLLBRIDGE_STORE_URL=nats://user:hunter2@engine.test"}})
	if text := printed(t, c); strings.Contains(text, "hunter2") || !strings.Contains(text, "nats://***@engine.test") {
		t.Errorf("YAML() =\n%s\nwant the user masked", text)
	}
}

func TestMaskedSecretsCannotBeLoaded(t *testing.T) {
	c := load(t, config.Sources{Env: []string{urlVariable, "POLLBRIDGE_ADMIN_KEY=0123456789abcdef"}})
	e := mistakes(t, config.Sources{File: file(t, printed(t, c))})
	if len(e.Mistakes) != 1 || e.Mistakes[0].Key != "admin.keys[0]" {
		t.Errorf("Load(YAML()): %v; want a mistake in admin.keys[0]", e)
	}
}

// TestRoundTrip prints arbitrary valid settings and loads them again.
func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.yaml")
	rapid.Check(t, func(t *rapid.T) {
		c := config.Default()
		duration := rapid.Map(rapid.Int64Range(1, 1<<62), func(n int64) time.Duration { return time.Duration(n) })
		text := rapid.StringMatching(`[ -~äž]{1,12}`)
		c.Upstream.URL = "https://upstream.test/" + rapid.StringMatching(`[a-z0-9/]*`).Draw(t, "base path")
		c.Upstream.Timeout = duration.Draw(t, "timeout")
		c.Upstream.Rate = rapid.Float64Range(0, 1e300).Draw(t, "rate")
		c.Cache.MaxSize = cache.Size(rapid.Int64Range(int64(cache.MinSize), 1<<50).Draw(t, "max_size"))
		c.Cache.StaleIfError = duration.Draw(t, "stale_if_error")
		c.Breaker.FailureRatio = rapid.Float64Range(1e-300, 1).Draw(t, "failure_ratio")
		c.Watch.Max = rapid.IntRange(1, 1<<62).Draw(t, "max")
		c.Webhook.Retries = rapid.SliceOfN(duration, 0, 30).Draw(t, "retries")
		c.Webhook.AllowPorts = rapid.SliceOfN(rapid.IntRange(1, 65535), 1, 30).Draw(t, "allow_ports")
		c.Webhook.AllowHTTP = rapid.Bool().Draw(t, "allow_http")
		c.Proxy.TrustedProxies = rapid.SliceOfN(rapid.Custom(network), 0, 9).Draw(t, "trusted_proxies")
		c.Store.Dir = text.Draw(t, "dir")
		c.Store.Cluster.Name = text.Draw(t, "name")
		c.Store.Cluster.Listen = ":6222"

		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := c.YAML(f); err != nil {
			t.Fatal(err)
		}
		again, err := config.Load(config.Sources{File: path})
		if err != nil {
			t.Fatalf("Load(YAML()): %v; want none", err)
		}
		if !reflect.DeepEqual(comparable(again), comparable(c)) {
			t.Fatalf("Load(YAML()) = %+v; want %+v", again, c)
		}
	})
}

func network(t *rapid.T) netip.Prefix {
	address, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
	network, _ := address.Prefix(rapid.IntRange(0, 32).Draw(t, "bits"))
	return network
}

// comparable copies what was set, with an empty list for each that is nil.
func comparable(c *config.Config) config.Config {
	set := config.Config{
		Proxy: c.Proxy, Upstream: c.Upstream, Dialect: c.Dialect, Cache: c.Cache, Breaker: c.Breaker, Watch: c.Watch,
		Webhook: c.Webhook, Store: c.Store, Admin: c.Admin, Log: c.Log, Tracing: c.Tracing,
	}
	set.Proxy.TrustedProxies = append([]netip.Prefix{}, c.Proxy.TrustedProxies...)
	set.Webhook.Retries = append([]time.Duration{}, c.Webhook.Retries...)
	set.Webhook.AllowNetworks = append([]netip.Prefix{}, c.Webhook.AllowNetworks...)
	set.Webhook.HeaderHosts = nil
	set.Store.Cluster.Routes = append([]string{}, c.Store.Cluster.Routes...)
	set.Admin.Keys = append([]string{}, c.Admin.Keys...)
	return set
}

// FuzzFile: whatever stands in the file, loading it ends in a configuration that
// loads again as it was printed, or in mistakes that can be read.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "listen: ':1'", "a: &a [*a]", "cache: &c {pending_ttl: 1s}\nwatch: *c", "? [a]\n: b", "<<: 1", "--- 1\n---\n",
		"endpoints: [{name: a, locales: {x: /y}}]", "webhook: {header_hosts: {a.b: c}, retries: [1s, ~]}", "listen: !!int 1\n", "? *x",
		"trusted_proxies: ['::1', 10.0.0.0/8]\nstore: {dir: \"\\x00\", cluster: {routes: [a]}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		path := file(t, content)
		c, err := config.Load(config.Sources{File: path, Env: []string{urlVariable}})
		if err != nil {
			for _, m := range mistakes(t, config.Sources{File: path, Env: []string{urlVariable}}).Mistakes {
				if m.Problem == "" || m.Key == "" && m.Source == "" {
					t.Errorf("a mistake says too little: %+v", m)
				}
			}
			return
		}
		if len(c.Admin.Keys)+len(c.Webhook.HeaderHosts) > 0 || strings.Contains(c.Store.URL+strings.Join(c.Store.Cluster.Routes, ""), "@") {
			return
		}
		again := load(t, config.Sources{File: file(t, printed(t, c))})
		if got, want := printed(t, again), printed(t, c); got != want {
			t.Errorf("printed and loaded again:\n%s\nwant\n%s", got, want)
		}
	})
}
