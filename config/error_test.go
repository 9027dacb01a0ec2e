package config_test

import (
	"os"
	"strings"
	"testing"

	"pollbridge/config"
)

// needsKeys is said of a fleet whose replicas would each make their own.
const needsKeys = "store.encryption_key_file: is not set, but store.nats.url is: all replicas need the same key\n" +
	"admin.keys: is empty, but store.nats.url is set: all replicas need the same keys (or POLLBRIDGE_ADMIN_KEY)\n"

func TestMistakes(t *testing.T) {
	const endpoint = "{name: a, method: GET, path: '/{token}', credential: 'query:a', pending: [a], succeeded: [b]}"
	for _, test := range []struct {
		name string
		file string
		env  []string
		want string // every line; PATH is the file
	}{
		{name: "an unknown key", file: "cache: {pending_tl: 1s}",
			want: "cache.pending_tl: unknown setting; did you mean cache.pending_ttl? (PATH:1)"},
		{name: "an unknown section", file: "\nwebhok: {timeout: 1s}",
			want: "webhok: unknown setting; did you mean webhook? (PATH:2)"},
		{name: "a forgotten section", file: "pending_ttl: 1s",
			want: "pending_ttl: unknown setting; did you mean cache.pending_ttl? (PATH:1)"},
		{name: "a setting of an earlier version", file: "store: {url: nats://a}", env: []string{"POLLBRIDGE_STORE_URL=nats://a"},
			want: "store.url: unknown setting; did you mean store.nats.url? (PATH:1)\n" +
				"environment POLLBRIDGE_STORE_URL: unknown setting; did you mean POLLBRIDGE_STORE_NATS_URL?"},
		{name: "two wrong elements", file: "webhook: {allow_ports: [0, x]}",
			want: `webhook.allow_ports[1]: "x": want a whole number (PATH:1)` + "\n" +
				`webhook.allow_ports[0]: "0": want a port between 1 and 65535 (PATH:1)`},
		{name: "no size", file: "cache: {max_size: 256 apples}",
			want: `cache.max_size: "256 apples": want a size such as 256MiB or 1GB, at most 1PiB (PATH:1)`},
		{name: "an unknown dialect", file: "dialect: marksing",
			want: `dialect: "marksing": want one of custom, dokobit, elpako, marksign (PATH:1)`},
		{name: "custom without endpoints", file: "dialect: custom",
			want: "endpoints: is empty, but the dialect custom needs at least one endpoint"},
		{name: "endpoints without custom", file: "endpoints: [" + endpoint + "]",
			want: "endpoints: is set, but only the dialect custom takes endpoints (PATH:1)"},
		{name: "an endpoint twice", file: "dialect: custom\nendpoints:\n- " + endpoint + "\n- " + strings.Replace(endpoint, "GET", "POST", 1),
			want: `endpoints: endpoint "a" is defined twice: names must be unique (PATH:3)`},
		{name: "endpoints that are none", file: "dialect: custom\nendpoints:\n- " + strings.Replace(endpoint, "GET", "PUT", 1) + "\n- " + strings.Replace(endpoint, "query:a", "abc", 1),
			want: `endpoints[0].method: "PUT": want GET or POST (PATH:3)` + "\n" +
				"endpoints[1].credential: want body:NAME, query:NAME or header:NAME, where NAME is the field that carries the credential (the value is not shown) (PATH:4)"},
		{name: "an unknown variable", env: []string{"POLLBRIDGE_UPSTREAM_TIMEOT=1s", "POLLBRIDGE_ADMIN_KAY=x"},
			want: "environment POLLBRIDGE_UPSTREAM_TIMEOT: unknown setting; did you mean POLLBRIDGE_UPSTREAM_TIMEOUT?\n" +
				"environment POLLBRIDGE_ADMIN_KAY: unknown setting; did you mean POLLBRIDGE_ADMIN_KEYS?"},
		{name: "one address for two", file: "listen: ':1'", env: []string{"POLLBRIDGE_ADMIN_LISTEN=127.0.0.1:1"},
			want: `admin.listen: "127.0.0.1:1": want another port than listen, or other addresses (environment POLLBRIDGE_ADMIN_LISTEN)`},
		{name: "a default that no longer fits", file: "cache: {pending_ttl: 1h}\nwatch: {interval: 1h}",
			want: `cache.final_ttl: "15m": want at least pending_ttl, which is 1h`},
		{name: "watches that poll in vain", file: "watch: {schedule: fixed, interval: 1500ms}\ncache: {pending_ttl: 2s}",
			want: `watch.interval: "1.5s": want at least cache.pending_ttl, which is 2s: with schedule fixed, a poll before that would learn nothing new (PATH:1)`},
		{name: "events that are gone before their last attempt", file: "store: {history: 72h}",
			want: `store.history: "72h": want at least 83h19m51s, which is how long webhook.retries and webhook.timeout go on with one event: they need it until the last attempt (PATH:1)`},
		{name: "retries for longer than events are kept", file: "webhook: {retries: [100h, 52h], timeout: 10m}", env: []string{"POLLBRIDGE_STORE_HISTORY=167h"},
			want: `store.history: "167h": want at least 167h42m, which is how long webhook.retries and webhook.timeout go on with one event: they need it until the last attempt (environment POLLBRIDGE_STORE_HISTORY)`},
		{name: "retries without end", file: "webhook: {retries: [2000000h, 2000000h]}",
			want: `store.history: "168h": want at least 2562047h47m16.854775807s, which is how long webhook.retries and webhook.timeout go on with one event: they need it until the last attempt`},
		{name: "the credential is ignored", file: "cache: {ignored_query_fields: [_, a]}\ndialect: custom\nendpoints: [" + endpoint + "]",
			want: `cache.ignored_query_fields: holds "a", the field that carries the credential of the endpoint a: leave it out (PATH:1)`},
		{name: "the credential of a dialect is ignored", file: "dialect: dokobit", env: []string{"POLLBRIDGE_CACHE_IGNORED_QUERY_FIELDS=_,access_token"},
			want: `cache.ignored_query_fields: holds "access_token", the field that carries the credential of the endpoint smartid-sign: leave it out; here a list is written A,B (environment POLLBRIDGE_CACHE_IGNORED_QUERY_FIELDS)`},
		{name: "a header_hosts of another form", env: []string{"POLLBRIDGE_WEBHOOK_HEADER_HOSTS=hooks.example.com: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="},
			want: "webhook.header_hosts: has an entry that is not NAME=VALUE (it is not shown); here a table is written NAME=VALUE,NAME=VALUE (environment POLLBRIDGE_WEBHOOK_HEADER_HOSTS, entry 1)"},
		{name: "keys of another form", env: []string{"POLLBRIDGE_ADMIN_KEYS=0123456789abcdef 0123456789abcdef"},
			want: "admin.keys[0]: want at least 16 visible ASCII characters (the value is not shown); here a list is written A,B (environment POLLBRIDGE_ADMIN_KEYS)"},
		{name: "a key that is too short", env: []string{"POLLBRIDGE_ADMIN_KEY=0123456789"},
			want: "admin.keys[0]: want at least 16 visible ASCII characters (the value is not shown) (environment POLLBRIDGE_ADMIN_KEY)"},
		{name: "spans for nobody", file: "tracing: {otlp_endpoint: 'ftp://user:sesame@a'}",
			want: "tracing.otlp_endpoint: want a URL with a host and one of the schemes http, https, grpc, grpcs (PATH:1)"},
		{name: "spans and a user", file: "tracing: {otlp_endpoint: 'http://user:sesame@a'}",
			want: "tracing.otlp_endpoint: want a URL without user info (PATH:1)"},
		{name: "spans over gRPC without a port", env: []string{"POLLBRIDGE_TRACING_OTLP_ENDPOINT=grpc://a"},
			want: "tracing.otlp_endpoint: want grpc://HOST:PORT, such as grpc://collector.example:4317 (the value is not shown) (environment POLLBRIDGE_TRACING_OTLP_ENDPOINT)"},
		{name: "a cluster that is none", file: "store: {nats: {prefix: a b, replicas: 5, ca_file: x}}",
			want: "store.nats.ca_file: is set, but url is not: it would have no effect (PATH:1)\n" +
				"store.nats.replicas: is set, but url is not: it would have no effect (PATH:1)\n" +
				"store.nats.prefix: is set, but url is not: it would have no effect (PATH:1)"},
		{name: "a cluster that cannot be reached so", file: "store: {nats: {url: 'nats://a,http://u:sesame@b', prefix: a.b, replicas: 9, cert_file: a}}",
			want: "store.nats.url: want servers such as nats://a.example:4222,nats://b.example:4222 (or tls://, ws://, wss://); the value is not shown, as it may hold a password (PATH:1)\n" +
				"store.nats.key_file: is not set, but cert_file is: want both or none\n" +
				`store.nats.replicas: "9": want 1 to 5; 3 survive the loss of one server (PATH:1)` + "\n" +
				`store.nats.prefix: "a.b": want letters, digits, - and _, at most 32 of them (PATH:1)` + "\n" +
				strings.TrimSuffix(needsKeys, "\n")},
		{name: "a cluster and no keys", file: "store: {nats: {url: nats://a, replicas: 1}}", want: strings.TrimSuffix(needsKeys, "\n")},
		{name: "several at once", file: "log: {level: loud}\nbreaker: {probes: none}", env: []string{"POLLBRIDGE_STORE_SYNC=never"},
			want: `breaker.probes: "none": want a whole number (PATH:2)` + "\n" +
				`store.sync: "never": want one of always, interval (environment POLLBRIDGE_STORE_SYNC)` + "\n" +
				`log.level: "loud": want one of debug, info, warn, error (PATH:1)`},
	} {
		if got := mistakes(t, config.Sources{File: file(t, test.file), Env: append(test.env, urlVariable)}); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

// TestMistakesInTheEnvironmentOfTracing: they count where spans are sent, and name the variable.
func TestMistakesInTheEnvironmentOfTracing(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "sesame")
	load(t, config.Sources{Env: []string{urlVariable}, File: file(t, "tracing: {otlp_endpoint: ''}")})
	want := "tracing: want one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio (environment OTEL_TRACES_SAMPLER)"
	if got := mistakes(t, config.Sources{Env: []string{urlVariable}, File: file(t, "tracing: {otlp_endpoint: 'http://a'}")}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAMissingURLSaysHowToSetIt(t *testing.T) {
	want := "upstream.url: is not set: use --upstream URL, the environment variable POLLBRIDGE_UPSTREAM_URL, or upstream.url in the file"
	if got := mistakes(t, config.Sources{File: file(t, "listen: ':1'")}); got != want {
		t.Errorf("Load without a URL: %v; want %s", got, want)
	}
}

func TestMistakesInFlags(t *testing.T) {
	got := mistakes(t, config.Sources{Flags: []config.Flag{{Name: "--upstream", Key: "upstream.url"}, {Name: "--listen", Key: "listen", Value: "8080"}}})
	want := `listen: "8080": want HOST:PORT such as 127.0.0.1:8080, or :8080 for every address of the machine (flag --listen)` + "\n" +
		"upstream.url: is not set: use --upstream URL, the environment variable POLLBRIDGE_UPSTREAM_URL, or upstream.url in the file (flag --upstream)"
	if got != want {
		t.Errorf("Load(flags):\n%v\nwant\n%s", got, want)
	}
}

// TestNoMistakeShowsASecret puts a secret wherever one may stand, each time in a way
// that is wrong.
func TestNoMistakeShowsASecret(t *testing.T) {
	const secret = "MDEyMzQ1Njc4OTAxMjM0NTY3"
	shapes := []string{"SECRET", "[SECRET", "[[SECRET]]", "{SECRET: SECRET}", "{a.test: SECRET, SECRET: a.test}", "{a.test: whsec_SECRET}", "['SECRET]", "*SECRET",
		"!SECRET a", "&SECRET", "\"\\SECRET\"", "SECRET: SECRET", "'a.test: whsec_SECRET='", "a.test=SECRET,a.test=SECRET", "whsec_SECRET", "pbk_SECRET",
		"https://user:SECRET@a.test", "user:SECRET@a.test", "https://user:SECRET", "https://a.test/?access_token=SECRET", "https://a.test#SECRET",
		"socks4://user:SECRET@a.test,socks5://user:SECRET@a.test:x", "'-----BEGIN PRIVATE KEY----- SECRET'"}
	path := file(t, "")
	bare := map[string]bool{} // what cannot be taken for a secret is shown, unless it looks like one
	for _, key := range keys(t) {
		secretive := key == "admin.keys" || key == "webhook.header_hosts" || strings.HasSuffix(key, "key_file") || strings.HasSuffix(key, "credentials_file") ||
			key == "upstream.proxy_url" || key == "store.nats.url" || key == "tracing.otlp_endpoint"
		for _, shape := range shapes {
			password := key == "upstream.url" && strings.Contains(shape, "user:")
			if !secretive && !password && !strings.ContainsAny(shape, "@?#") && !strings.Contains(shape, "_SECRET") && !strings.Contains(shape, "-----") {
				bare[key] = true
				continue
			}
			text := strings.ReplaceAll(shape, "SECRET", secret)
			section := strings.ReplaceAll(key, ".", ": {")
			for where, from := range map[string]config.Sources{
				section + ": " + text + strings.Repeat("}", strings.Count(key, ".")): {File: path},
				"admin:\n  " + text + "\n" + section + ": " + text:                   {File: path},
				"environment": {Env: []string{"POLLBRIDGE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_")) + "=" + strings.Trim(text, "'")}},
				"flag":        {Flags: []config.Flag{{Name: "--flag", Key: key, Value: strings.Trim(text, "'")}}},
			} {
				if from.File != "" {
					if err := os.WriteFile(path, []byte(where), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := config.Load(from); err == nil || strings.Contains(err.Error(), secret) {
					t.Errorf("%s as %s in %s: %v\nwant an error without the secret", key, text, where, err)
				}
			}
		}
	}
	if len(bare) < 30 {
		t.Errorf("%d settings cannot hold a secret; want most of them", len(bare))
	}
	for _, content := range []string{
		secret, "- " + secret, secret + ": a", "admin: " + secret, "admin: {" + secret + ": a}", "admin: {key: " + secret + "}", "adminkeys: [" + secret + "]",
		"webhook: {header_host: {a.test: " + secret + "}}", "webhook: {whsec_abc: a}\nadmin: {keys: [*" + secret + "]}", "endpoints: [{credential: 'Bearer " + secret + "'}]\ndialect: custom",
	} {
		if got := mistakes(t, config.Sources{File: file(t, content), Env: []string{urlVariable}}); strings.Contains(got, secret) {
			t.Errorf("%s: %v\nshows the secret", content, got)
		}
	}
}
