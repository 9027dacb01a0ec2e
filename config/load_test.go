package config_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"pollbridge/config"
)

func TestUpstreamURLIsEnough(t *testing.T) {
	c := load(t, config.Sources{Flags: map[string]any{"upstream.url": "https://upstream.test"}})
	want := config.Default()
	want.Upstream.URL = "https://upstream.test"
	if got := printed(t, c); got != printed(t, want) {
		t.Errorf("Load with nothing but the URL =\n%s\nwant every default", got)
	}
}

func TestNearerSourcesWin(t *testing.T) {
	from := config.Sources{
		File: file(t, "upstream: {url: 'http://file', timeout: 1s, rate: 1}\nwebhook: {retries: [1s, 2s, 3s], allow_ports: [1, 2, 3]}\nlisten: ':1'"),
		Env:  []string{"POLLBRIDGE_UPSTREAM_URL=http://environment", "POLLBRIDGE_UPSTREAM_TIMEOUT=2s", "POLLBRIDGE_WEBHOOK_RETRIES=4s"},
		Flags: map[string]any{
			"upstream.url": "http://flag",
		},
	}
	c := load(t, from)
	got := []any{c.Upstream.URL, c.Upstream.Timeout, c.Upstream.Rate, c.Webhook.Retries, c.Webhook.AllowPorts, c.Proxy.Listen, c.Upstream.MaxInflight}
	want := "[http://flag 2s 1 [4s] [1 2 3] :1 256]"
	if fmt.Sprint(got) != want {
		t.Errorf("Load(flag, environment, file) = %v; want %s", got, want)
	}
}

func TestAnEmptyListInTheFileReplacesTheDefault(t *testing.T) {
	c := load(t, config.Sources{File: file(t, "webhook: {retries: []}"), Env: []string{urlVariable}})
	if len(c.Webhook.Retries) != 0 {
		t.Errorf("webhook.retries = %v; want none", c.Webhook.Retries)
	}
}

func TestNothingUnderAKeyIsNotSet(t *testing.T) {
	c := load(t, config.Sources{
		File: file(t, "# nothing but comments in it\ncache:\n  # pending_ttl: 2s\nlisten:\nwebhook: ~\n"),
		Env:  []string{urlVariable, "POLLBRIDGE_LISTEN=", "POLLBRIDGE_UNKNOWN="},
	})
	if c.Proxy.Listen != ":8080" || c.Cache.PendingTTL != time.Second {
		t.Errorf("listen = %q, pending_ttl = %v; want the defaults", c.Proxy.Listen, c.Cache.PendingTTL)
	}
}

func TestTextStaysAsItWasWritten(t *testing.T) {
	c := load(t, config.Sources{
		File: file(t, "admin: {keys: [01234567890123456789]}\nstore: {cluster: {name: 007, listen: ':6222'}}\nwatch: {max: '5'}"),
		Env:  []string{urlVariable},
	})
	if c.Admin.Keys[0] != "01234567890123456789" || c.Store.Cluster.Name != "007" || c.Watch.Max != 5 {
		t.Errorf("keys = %v, name = %q, max = %d", c.Admin.Keys, c.Store.Cluster.Name, c.Watch.Max)
	}
}

func TestAdminKeyIsOneMore(t *testing.T) {
	const first, second = "the-first-admin-key", "the-second-admin-key"
	for _, from := range []config.Sources{
		{File: file(t, "admin: {keys: ["+first+"]}"), Env: []string{urlVariable, "POLLBRIDGE_ADMIN_KEY=" + second}},
		{Env: []string{urlVariable, "POLLBRIDGE_ADMIN_KEY=" + second, "POLLBRIDGE_ADMIN_KEYS=" + first}},
	} {
		if got := load(t, from).Admin.Keys; !slices.Equal(got, []string{first, second}) {
			t.Errorf("Load(%+v).Admin.Keys = %q; want both", from, got)
		}
	}
}

func TestANetworkMayBeAnAddress(t *testing.T) {
	c := load(t, config.Sources{Env: []string{urlVariable, "POLLBRIDGE_TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.1,2001:db8::1"}})
	if got := fmt.Sprint(c.Proxy.TrustedProxies); got != "[10.0.0.0/8 192.0.2.1/32 2001:db8::1/128]" {
		t.Errorf("trusted_proxies = %s", got)
	}
}

func TestAliasesInTheFile(t *testing.T) {
	c := load(t, config.Sources{
		File: file(t, "cache: {pending_ttl: &window 3s}\nwatch: {interval: *window}\n"),
		Env:  []string{urlVariable},
	})
	if c.Watch.Interval != 3*time.Second {
		t.Errorf("watch.interval = %v; want 3s", c.Watch.Interval)
	}
}

// TestEverySetting sets each key to something else than its default, in the file
// and in the environment, and compares what is in effect.
func TestEverySetting(t *testing.T) {
	certFile, keyFile := certificateFiles(t)
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	samples := map[string]struct{ variable, yaml string }{
		"listen":                    {":1", "':1'"},
		"tls.cert_file":             {certFile, certFile},
		"tls.key_file":              {keyFile, keyFile},
		"trusted_proxies":           {"10.0.0.0/8,::1", "[10.0.0.0/8, '::1']"},
		"upstream.url":              {"http://other.test/base", "http://other.test/base"},
		"upstream.timeout":          {"3s", "3s"},
		"upstream.max_inflight":     {"3", "3"},
		"upstream.rate":             {"3.5", "3.5"},
		"upstream.ca_file":          {certFile, certFile},
		"dialect":                   {"dokobit", "dokobit"},
		"endpoints":                 {}, // see TestEndpoints
		"cache.max_size":            {"1GiB", "1GiB"},
		"cache.pending_ttl":         {"3s", "3s"},
		"cache.final_ttl":           {"1h", "1h"},
		"cache.not_found_ttl":       {"3s", "3s"},
		"cache.stale_if_error":      {"3s", "3s"},
		"breaker.window":            {"3s", "3s"},
		"breaker.min_requests":      {"3", "3"},
		"breaker.failure_ratio":     {"0.25", "0.25"},
		"breaker.open_for":          {"3s", "3s"},
		"breaker.probes":            {"4", "4"},
		"watch.schedule":            {"adaptive", "adaptive"},
		"watch.interval":            {"3s", "3s"},
		"watch.deadline":            {"3s", "3s"},
		"watch.not_found_after":     {"3s", "3s"},
		"watch.max":                 {"3", "3"},
		"webhook.timeout":           {"3s", "3s"},
		"webhook.retries":           {"1s,2m", "[1s, 2m]"},
		"webhook.concurrency":       {"3", "3"},
		"webhook.allow_http":        {"true", "true"},
		"webhook.allow_networks":    {"10.0.0.0/8", "[10.0.0.0/8]"},
		"webhook.allow_ports":       {"80, 443", "[80, 443]"},
		"webhook.ca_file":           {certFile, certFile},
		"webhook.header_hosts":      {"a.test=" + secret + ",b.test=" + secret, "{a.test: " + secret + ", b.test: " + secret + "}"},
		"store.dir":                 {"/data", "/data"},
		"store.sync":                {"interval", "interval"},
		"store.retain":              {"3s", "3s"},
		"store.history":             {"3s", "3s"},
		"store.encryption_key_file": {keyFile, keyFile},
		"store.url":                 {"nats://engine.test", "nats://engine.test"},
		"store.cluster.name":        {"a", "a"},
		"store.cluster.listen":      {":6222", "':6222'"},
		"store.cluster.routes":      {"b:6222,c:6222", "['b:6222', 'c:6222']"},
		"admin.listen":              {":2", "':2'"},
		"admin.keys":                {"0123456789abcdef,fedcba9876543210", "[0123456789abcdef, fedcba9876543210]"},
		"log.level":                 {"debug", "debug"},
		"log.format":                {"json", "json"},
		"tracing.otlp_endpoint":     {"http://collector.test:4318", "http://collector.test:4318"},
	}
	needs := map[string]string{ // a setting that makes sense only with another one
		"tls.cert_file": "tls.key_file", "tls.key_file": "tls.cert_file",
		"store.cluster.name": "store.cluster.listen", "store.cluster.routes": "store.cluster.listen",
	}
	byDefault := printed(t, load(t, config.Sources{Env: []string{urlVariable}}))
	for _, key := range config.Keys() {
		sample, found := samples[key]
		if !found {
			t.Errorf("%s has no sample: want one for every setting", key)
			continue
		}
		if sample.variable == "" {
			continue
		}
		name := "POLLBRIDGE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		base := []string{urlVariable}
		if other, found := needs[key]; found {
			base = append(base, "POLLBRIDGE_"+strings.ToUpper(strings.ReplaceAll(other, ".", "_"))+"="+samples[other].variable)
		}
		if key == "upstream.url" {
			base = nil
		}
		byEnvironment := printed(t, load(t, config.Sources{Env: append(slices.Clone(base), name+"="+sample.variable)}))
		byFile := printed(t, load(t, config.Sources{Env: base, File: file(t, strings.ReplaceAll(key, ".", ": {")+": "+sample.yaml+strings.Repeat("}", strings.Count(key, ".")))}))
		if byEnvironment != byFile {
			t.Errorf("%s: by environment\n%s\nby file\n%s\nwant the same", key, byEnvironment, byFile)
		}
		if byEnvironment == byDefault {
			t.Errorf("%s: setting it changed nothing", key)
		}
	}
}

// certificateFiles writes a certificate and its key, both PEM.
func certificateFiles(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	return file(t, string(pem.EncodeToMemory(&certificate))),
		file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

func TestEndpoints(t *testing.T) {
	const custom = `
dialect: custom
endpoints:
  - name: documents
    method: GET
    path: /document/{token}/status
    locales: {en: /en, lt: ""}
    credential: header:Authorization
    status: /data/state
    pending: [new, "1"]
    succeeded: [done]
    failed: [gone]
`
	c := load(t, config.Sources{File: file(t, custom), Env: []string{urlVariable}})
	endpoints, err := c.SessionEndpoints()
	if err != nil || len(endpoints) != 1 || endpoints[0].Name != "documents" || len(endpoints[0].Locales) != 2 || endpoints[0].Answer.Pending[1] != "1" {
		t.Errorf("SessionEndpoints() = %+v, %v; want the one of the file", endpoints, err)
	}
	again := load(t, config.Sources{File: file(t, printed(t, c))})
	if printed(t, again) != printed(t, c) {
		t.Errorf("printed and loaded again:\n%s\nwant\n%s", printed(t, again), printed(t, c))
	}

	c = load(t, config.Sources{Env: []string{urlVariable}})
	if endpoints, err := c.SessionEndpoints(); err != nil || len(endpoints) == 0 {
		t.Errorf("SessionEndpoints() of the default dialect = %v, %v; want some", endpoints, err)
	}
	c.Dialect = "unheard"
	if endpoints, err := c.SessionEndpoints(); err == nil {
		t.Errorf("SessionEndpoints() of an unknown dialect = %v; want an error", endpoints)
	}
}

func TestIdle(t *testing.T) {
	c := load(t, config.Sources{
		File: file(t, "watch: {schedule: adaptive, interval: 2s, max: 5}\nstore: {cluster: {name: a, listen: ':1'}}\nlog: {level: warn}"),
		Env:  []string{urlVariable, "POLLBRIDGE_ADMIN_KEY=0123456789abcdef", "POLLBRIDGE_TRACING_OTLP_ENDPOINT=http://c.test"},
		Flags: map[string]any{
			"store.dir": "/data",
		},
	})
	want := []string{"tracing.otlp_endpoint"}
	if got := c.Idle(); !slices.Equal(got, want) {
		t.Errorf("Idle() = %q; want %q", got, want)
	}
	if got := load(t, config.Sources{Env: []string{urlVariable, "POLLBRIDGE_WATCH_SCHEDULE=fixed"}}).Idle(); got != nil {
		t.Errorf("Idle() = %q; want none", got)
	}
}

func TestWhatKubernetesSetsIsIgnored(t *testing.T) {
	load(t, config.Sources{Env: []string{
		urlVariable, "PATH=/bin", "POLLBRIDGE=x",
		"POLLBRIDGE_PORT=tcp://10.0.0.1:8080", "POLLBRIDGE_PORT_8080_TCP=tcp://10.0.0.1:8080", "POLLBRIDGE_PORT_8080_TCP_ADDR=10.0.0.1",
		"POLLBRIDGE_SERVICE_HOST=10.0.0.1", "POLLBRIDGE_SERVICE_PORT=8080", "POLLBRIDGE_SERVICE_PORT_HTTP=8080",
		"POLLBRIDGE_ADMIN_PORT=tcp://10.0.0.1:8090", "POLLBRIDGE_ADMIN_SERVICE_HOST=10.0.0.1", "POLLBRIDGE_ADMIN_PORT_8090_TCP_PROTO=tcp",
	}})
}
