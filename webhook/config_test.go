package webhook_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/webhook"
)

func headerSecret(length int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, length))
}

func TestConfigValidate(t *testing.T) {
	hosts := func(host, secret string) func(*webhook.Config) {
		return func(c *webhook.Config) { c.HeaderHosts = map[string]string{host: secret} }
	}
	noPEM := filepath.Join(t.TempDir(), "no.pem")
	if err := os.WriteFile(noPEM, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	const noSecret = "header_hosts: want a host and then its secret: whsec_"
	for _, test := range []struct {
		name   string
		change func(*webhook.Config)
		want   string // a part of the error; empty: none
	}{
		{"the default", func(*webhook.Config) {}, ""},
		{"one attempt only", func(c *webhook.Config) { c.Retries = nil }, ""},
		{"shortest secret", hosts("example.com", headerSecret(24)), ""},
		{"longest secret", hosts("localhost", headerSecret(64)), ""},
		{"timeout", func(c *webhook.Config) { c.Timeout = 0 }, `timeout: "0s": want more than 0s`},
		{"a wait", func(c *webhook.Config) { c.Retries = []time.Duration{time.Second, 0} }, `retries[1]: "0s": want more than 0s`},
		{"concurrency", func(c *webhook.Config) { c.Concurrency = -1 }, `concurrency: "-1": want at least 1`},
		{"no port", func(c *webhook.Config) { c.AllowPorts = nil }, `allow_ports: is empty`},
		{"port", func(c *webhook.Config) { c.AllowPorts = []int{443, 65536} }, `allow_ports[1]: "65536": want a port`},
		{"missing CA", func(c *webhook.Config) { c.CAFile = noPEM + "x" }, `but: no such file or directory`},
		{"CA without certificate", func(c *webhook.Config) { c.CAFile = noPEM }, `want a PEM file with at least one certificate, but: no certificate in it`},
		{"host with port", hosts("example.com:443", headerSecret(32)), `want a host name in lower case, without scheme, port`},
		{"host in upper case", hosts("Example.com", headerSecret(32)), `want a host name in lower case`},
		{"host and secret swapped", hosts(headerSecret(32), "example.com"), `want a host name`},
		{"secret in the host", hosts("example.com: "+headerSecret(32), ""), `want a host name`},
		{"swapped, without prefix", hosts(headerSecret(32)[6:], "example.com"), `header_hosts: `},
		{"a token for a host", hosts(strings.Repeat("aaaa", 8), "example.com"), `header_hosts: want a host and then its secret`},
		{"secret too short", hosts("example.com", headerSecret(23)), noSecret},
		{"secret too long", hosts("example.com", headerSecret(65)), noSecret},
		{"secret without prefix", hosts("example.com", headerSecret(32)[6:]), noSecret},
		{"secret is no base64", hosts("example.com", "whsec_*"+headerSecret(32)[7:]), noSecret},
	} {
		c := webhook.DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
		if strings.Contains(strings.ToUpper(fmt.Sprint(err)), "AAAA") {
			t.Errorf("%s: Validate() = %v shows the secret", test.name, err)
		}
	}
}

func TestDefaultConfigIsNotShared(t *testing.T) {
	webhook.DefaultConfig().Retries[0] = time.Hour
	if got := webhook.DefaultConfig().Retries[0]; got != 5*time.Second {
		t.Errorf("DefaultConfig().Retries[0] = %v after another's was changed; want 5s", got)
	}
}
