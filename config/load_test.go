package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pollbridge/config"
	"pollbridge/internal/testkit"
)

func TestUpstreamURLIsEnough(t *testing.T) {
	c := load(t, config.Sources{Flags: []config.Flag{{Name: "--upstream", Key: "upstream.url", Value: "https://upstream.test"}}})
	want := config.Default()
	want.Upstream.URL = "https://upstream.test"
	if got := printed(t, c); got != printed(t, want) {
		t.Errorf("Load with nothing but the URL =\n%s\nwant every default", got)
	}
}

func TestAnEmptyListInTheFileReplacesTheDefault(t *testing.T) {
	c := load(t, config.Sources{File: file(t, "webhook: {retries: []}"), Env: []string{urlVariable}})
	if len(c.Webhook.Retries) != 0 {
		t.Errorf("webhook.retries = %v; want none", c.Webhook.Retries)
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

// TestEverySetting sets each key to something else than its default, in the file
// and in the environment, and compares what is in effect. Without a sample are those
// whose features are not built yet.
func TestEverySetting(t *testing.T) {
	certificate := testkit.NewCertificate(t)
	certFile, keyFile := certificate.CertFile, certificate.KeyFile
	secretFile := file(t, strings.Repeat("ab", 32))
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	samples := map[string]struct{ variable, yaml string }{
		"listen":                      {":1", "':1'"},
		"tls.cert_file":               {certFile, certFile},
		"tls.key_file":                {keyFile, keyFile},
		"trusted_proxies":             {"10.0.0.0/8,::1", "[10.0.0.0/8, '::1']"},
		"upstream.url":                {"http://other.test/base", "http://other.test/base"},
		"upstream.timeout":            {"3s", "3s"},
		"upstream.max_inflight":       {"3", "3"},
		"upstream.rate":               {"3.5", "3.5"},
		"upstream.ca_file":            {certFile, certFile},
		"dialect":                     {"dokobit", "dokobit"},
		"endpoints":                   {}, // see TestEndpoints
		"cache.max_size":              {"1GiB", "1GiB"},
		"cache.pending_ttl":           {"3s", "3s"},
		"cache.final_ttl":             {"1h", "1h"},
		"cache.not_found_ttl":         {"3s", "3s"},
		"cache.stale_if_error":        {"3s", "3s"},
		"cache.ignored_query_fields":  {"_,nocache", "[_, nocache]"},
		"upstream.proxy_url":          {"socks5://u:p@proxy.test:1080", "socks5://u:p@proxy.test:1080"},
		"webhook.ca_file":             {certFile, certFile},
		"breaker.window":              {"3s", "3s"},
		"breaker.min_requests":        {"3", "3"},
		"breaker.failure_ratio":       {"0.25", "0.25"},
		"breaker.open_for":            {"3s", "3s"},
		"breaker.probes":              {"4", "4"},
		"watch.schedule":              {"fixed", "fixed"},
		"watch.interval":              {"3s", "3s"},
		"watch.deadline":              {"3s", "3s"},
		"watch.not_found_after":       {"3s", "3s"},
		"watch.max":                   {"3", "3"},
		"webhook.timeout":             {"3s", "3s"},
		"webhook.retries":             {"1s,2m", "[1s, 2m]"},
		"webhook.concurrency":         {"3", "3"},
		"webhook.allow_http":          {"true", "true"},
		"webhook.allow_networks":      {"10.0.0.0/8", "[10.0.0.0/8]"},
		"webhook.allow_ports":         {"80, 443", "[80, 443]"},
		"webhook.header_hosts":        {"a.test=" + secret + ",b.test=" + secret, "{a.test: " + secret + ", b.test: " + secret + "}"},
		"store.dir":                   {"/data", "/data"},
		"store.sync":                  {"interval", "interval"},
		"store.retain":                {"3s", "3s"},
		"store.history":               {"100h", "100h"},
		"store.encryption_key_file":   {secretFile, secretFile},
		"store.nats.url":              {},
		"store.nats.credentials_file": {},
		"store.nats.ca_file":          {},
		"store.nats.cert_file":        {},
		"store.nats.key_file":         {},
		"store.nats.replicas":         {},
		"store.nats.prefix":           {},
		"watch.max_gap":               {"7s", "7s"},
		"admin.tls.cert_file":         {certFile, certFile},
		"admin.tls.key_file":          {keyFile, keyFile},
		"tracing.otlp_endpoint":       {"grpcs://collector.test:4317", "grpcs://collector.test:4317"},
		"admin.listen":                {":2", "':2'"},
		"admin.keys":                  {"0123456789abcdef,fedcba9876543210", "[0123456789abcdef, fedcba9876543210]"},
		"log.level":                   {"debug", "debug"},
		"log.format":                  {"json", "json"},
	}
	needs := map[string]string{ // a setting that makes sense only with another one
		"tls.cert_file": "tls.key_file", "tls.key_file": "tls.cert_file",
		"admin.tls.cert_file": "admin.tls.key_file", "admin.tls.key_file": "admin.tls.cert_file",
	}
	byDefault := printed(t, load(t, config.Sources{Env: []string{urlVariable}}))
	for _, key := range keys(t) {
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

func TestListenersThatDoNotOverlap(t *testing.T) {
	for _, listen := range [][2]string{{"127.0.0.1:0", "127.0.0.1:0"}, {"127.0.0.1:1", "127.0.0.2:1"}, {"localhost:1", "localhost:2"}} {
		load(t, config.Sources{Env: []string{urlVariable, "POLLBRIDGE_LISTEN=" + listen[0], "POLLBRIDGE_ADMIN_LISTEN=" + listen[1]}})
	}
}

// TestLoadStore: what needs the store only does without the rest, and is told of mistakes in it.
func TestLoadStore(t *testing.T) {
	c, err := config.LoadStore(config.Sources{Env: []string{"POLLBRIDGE_STORE_DIR=/somewhere", "POLLBRIDGE_WATCH_INTERVAL=1ns"}})
	if err != nil || c.Store.Engine.Dir != "/somewhere" {
		t.Errorf("LoadStore = %v; want the directory, whatever the rest says", err)
	}
	_, err = config.LoadStore(config.Sources{Env: []string{"POLLBRIDGE_STORE_SYNC=never", "POLLBRIDGE_STROE_DIR=x"}})
	if err == nil || !strings.Contains(err.Error(), "store.sync") || !strings.Contains(err.Error(), "STROE") {
		t.Errorf("LoadStore = %v; want both mistakes", err)
	}
}
