package upstream_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/upstream"
)

func configFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigValidate(t *testing.T) {
	noPEM := configFile(t, "ca.pem", []byte("no certificate"))
	for _, test := range []struct {
		name   string
		change func(*upstream.Config)
		want   string // a part of the error; empty: none
	}{
		{"the default and a URL", func(*upstream.Config) {}, ""},
		{"a base path", func(c *upstream.Config) { c.URL = "http://127.0.0.1:1/api/v2/" }, ""},
		{"no URL", func(c *upstream.Config) { c.URL = "" }, "url: is not set: use --upstream URL, the environment variable POLLBRIDGE_UPSTREAM_URL, or upstream.url in the file"},
		{"scheme", func(c *upstream.Config) { c.URL = "host" }, `url: "host": want a URL`},
		{"user info", func(c *upstream.Config) { c.URL = "https://u:hunter2@host" }, `url: "https://***@host": want a URL without user info`},
		{"query", func(c *upstream.Config) { c.URL = "https://host?a" }, `want a URL without query`},
		{"timeout", func(c *upstream.Config) { c.Timeout = 0 }, `timeout: "0s": want more than 0s`},
		{"in flight", func(c *upstream.Config) { c.MaxInflight = 0 }, `max_inflight: "0": want at least 1`},
		{"negative rate", func(c *upstream.Config) { c.Rate = -0.5 }, `rate: "-0.5": want polls per second`},
		{"no number", func(c *upstream.Config) { c.Rate = math.NaN() }, `rate: "NaN"`},
		{"no end", func(c *upstream.Config) { c.Rate = math.Inf(1) }, `rate: "+Inf"`},
		{"proxies", func(c *upstream.Config) { c.ProxyURL = "socks5h://u:hunter2@proxy" }, ""},
		{"path of the proxy", func(c *upstream.Config) { c.ProxyURL = "http://u:hunter2@proxy/hunter2" }, `proxy_url: has a path`},
		{"scheme of the proxy", func(c *upstream.Config) { c.ProxyURL = "ftp://u:hunter2@proxy" }, `proxy_url: "ftp://***@proxy": want a URL with a host and one of the schemes http, https, socks5, socks5h`},
		{"missing CA", func(c *upstream.Config) { c.CAFile = noPEM + "x" }, `but: no such file or directory`},
		{"CA without certificate", func(c *upstream.Config) { c.CAFile = noPEM }, `but: no certificate in it`},
	} {
		c := upstream.DefaultConfig()
		c.URL = "https://host"
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}

func TestBreakerConfigValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*upstream.BreakerConfig)
		want   string // a part of the error; empty: none
	}{
		{"the default", func(*upstream.BreakerConfig) {}, ""},
		{"only if all fail", func(c *upstream.BreakerConfig) { c.FailureRatio = 1 }, ""},
		{"window", func(c *upstream.BreakerConfig) { c.Window = -time.Second }, `window: "-1s": want more than 0s`},
		{"requests", func(c *upstream.BreakerConfig) { c.MinRequests = 0 }, `min_requests: "0": want at least 1`},
		{"no ratio", func(c *upstream.BreakerConfig) { c.FailureRatio = 0 }, `failure_ratio: "0": want more than 0 and at most 1`},
		{"a percentage", func(c *upstream.BreakerConfig) { c.FailureRatio = 50 }, `failure_ratio: "50"`},
		{"no number", func(c *upstream.BreakerConfig) { c.FailureRatio = math.NaN() }, `failure_ratio: "NaN"`},
		{"open", func(c *upstream.BreakerConfig) { c.OpenFor = 0 }, `open_for: "0s": want more than 0s`},
		{"probes", func(c *upstream.BreakerConfig) { c.Probes = 0 }, `probes: "0": want at least 1`},
	} {
		c := upstream.DefaultBreakerConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}
