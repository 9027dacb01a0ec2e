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
		Flags: []config.Flag{{Name: "--upstream", Key: "upstream.url", Value: "https://upstream.test/api"}},
	})
	var text strings.Builder
	if err := c.YAML(&text); err != nil {
		t.Fatal(err)
	}
	got := pathOfFile.ReplaceAllString(text.String(), "file PATH")
	want, err := os.ReadFile(filepath.Join("testdata", "effective.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("YAML() =\n%s\nwant\n%s", got, want)
	}
}

func TestYAMLHidesTheUserOfAURL(t *testing.T) {
	c := load(t, config.Sources{Env: []string{urlVariable, "POLLBRIDGE_UPSTREAM_PROXY_URL=http://user:hunter2@proxy.test"}})
	if text := printed(t, c); strings.Contains(text, "hunter2") || !strings.Contains(text, "http://***@proxy.test") {
		t.Errorf("YAML() =\n%s\nwant the user masked", text)
	}
}

func TestMaskedSecretsCannotBeLoaded(t *testing.T) {
	c := load(t, config.Sources{Env: []string{urlVariable, "POLLBRIDGE_ADMIN_KEY=0123456789abcdef"}})
	got := mistakes(t, config.Sources{File: file(t, printed(t, c))})
	if !strings.HasPrefix(got, "admin.keys[0]: ") || strings.Contains(got, "\n") {
		t.Errorf("Load(YAML()): %v; want a mistake in admin.keys[0]", got)
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
		c.Webhook.Retries = rapid.SliceOfN(rapid.Map(rapid.Int64Range(1, 1<<57), func(n int64) time.Duration { return time.Duration(n) }), 0, 30).Draw(t, "retries")
		c.Store.Data.History = c.Webhook.LongestDelivery()
		c.Webhook.AllowPorts = rapid.SliceOfN(rapid.IntRange(1, 65535), 1, 30).Draw(t, "allow_ports")
		c.Webhook.AllowHTTP = rapid.Bool().Draw(t, "allow_http")
		c.Proxy.TrustedProxies = rapid.SliceOfN(rapid.Custom(network), 0, 9).Draw(t, "trusted_proxies")
		c.Store.Engine.Dir = text.Draw(t, "dir")
		c.Cache.IgnoredQueryFields = rapid.SliceOfN(text, 0, 3).Draw(t, "ignored_query_fields")

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
	set.Cache.IgnoredQueryFields = append([]string{}, c.Cache.IgnoredQueryFields...)
	set.Admin.Keys = append([]string{}, c.Admin.Keys...)
	return set
}
