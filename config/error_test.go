package config_test

import (
	"strings"
	"testing"

	"pollbridge/config"
)

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		name string
		file string
		env  []string
		want string // every line; PATH is the file
	}{
		{name: "an unknown key", file: "cache: {pending_tl: 1s}",
			want: "cache.pending_tl: is no setting; did you mean cache.pending_ttl? (file PATH:1)"},
		{name: "an unknown section", file: "\nwebhok: {timeout: 1s}",
			want: "webhok: is no setting; did you mean webhook? (file PATH:2)"},
		{name: "a forgotten section", file: "pending_ttl: 1s",
			want: "pending_ttl: is no setting; did you mean cache.pending_ttl? (file PATH:1)"},
		{name: "a key like no other", file: "something_else_entirely: 1",
			want: "something_else_entirely: is no setting (file PATH:1)"},
		{name: "a dotted key", file: "store.cluster.name: a",
			want: "store.cluster.name: is no setting; a dot does not open a section here: write store: {cluster: {name: …}} (file PATH:1)"},
		{name: "a key of an endpoint", file: "dialect: custom\nendpoints:\n- nam: x",
			want: "endpoints[0].nam: is no setting; did you mean endpoints[0].name? (file PATH:3)"},
		{name: "a key that stands twice", file: "cache:\n  pending_ttl: 1s\n  pending_ttl: 2s",
			want: "cache.pending_ttl: stands twice, first in line 2 (file PATH:3)"},
		{name: "a merge key", file: "<<: {listen: ':1'}",
			want: "<<: is no setting (file PATH:1)"},
		{name: "no unit", file: "upstream:\n  timeout: 10",
			want: `upstream.timeout: "10": want a duration with units, such as 10s or 1h30m (file PATH:2)`},
		{name: "an empty duration", file: "upstream: {timeout: ''}",
			want: `upstream.timeout: want a duration with units, such as 10s or 1h30m (file PATH:1)`},
		{name: "a list for a number", file: "watch: {max: [1, 2]}",
			want: "watch.max: is a list: want a whole number (file PATH:1)"},
		{name: "a mapping for a text", file: "dialect: {a: b}",
			want: "dialect: is a mapping: want a single text (file PATH:1)"},
		{name: "a text for a list", file: "trusted_proxies: 10.0.0.0/8",
			want: `trusted_proxies: "10.0.0.0/8": want a list, as in [A, B] (file PATH:1)`},
		{name: "a text for a section", file: "cache: 1s",
			want: "cache: is a single value: want names with values, as in NAME: VALUE (file PATH:1)"},
		{name: "a list for a section", file: "- cache",
			want: "file PATH:1: is a list: want names with values, as in NAME: VALUE"},
		{name: "an empty element", file: "trusted_proxies:\n- ::1\n-",
			want: "trusted_proxies[1]: is empty: want a network such as 10.0.0.0/8 or fd00::/8, or a single address (file PATH:3)"},
		{name: "a fraction", file: "watch: {max: 1.5}",
			want: `watch.max: "1.5": want a whole number (file PATH:1)`},
		{name: "a number out of range", file: "watch: {max: 99999999999999999999}",
			want: `watch.max: "99999999999999999999": want a whole number (file PATH:1)`},
		{name: "no boolean", file: "webhook: {allow_http: maybe}",
			want: `webhook.allow_http: "maybe": want true or false (file PATH:1)`},
		{name: "no size", file: "cache: {max_size: 256 apples}",
			want: `cache.max_size: "256 apples": want a size such as 256MiB or 1GB, at most 1PiB (file PATH:1)`},
		{name: "no network", env: []string{"POLLBRIDGE_TRUSTED_PROXIES=::1,10.0.0/8"},
			want: `trusted_proxies[1]: "10.0.0/8": want a network such as 10.0.0.0/8 or fd00::/8, or a single address (environment POLLBRIDGE_TRUSTED_PROXIES)`},
		{name: "a network that matches nothing", file: "trusted_proxies: ['::ffff:10.0.0.0/104']",
			want: `trusted_proxies[0]: "::ffff:10.0.0.0/104": want a network such as 10.0.0.0/8 or fd00::/8, or a single address (file PATH:1)`},
		{name: "two wrong elements", file: "webhook: {allow_ports: [0, x]}",
			want: `webhook.allow_ports[1]: "x": want a whole number (file PATH:1)` + "\n" +
				`webhook.allow_ports[0]: "0": want a port between 1 and 65535 (file PATH:1)`},
		{name: "a tag", file: "dialect: !secret name",
			want: "dialect: has the tag !secret, which means nothing here: want a single text (file PATH:1)"},
		{name: "a second document", file: "listen: ':1'\n---\nlisten: ':2'",
			want: "file PATH:2: starts a second document: want one document in the file"},
		{name: "no YAML", file: "cache:\n\tpending_ttl: 1s",
			want: "file PATH:2: is no valid YAML: found character that cannot start any token"},
		{name: "an unknown dialect", file: "dialect: marksing",
			want: `dialect: "marksing": want one of custom, dokobit, elpako, marksign (file PATH:1)`},
		{name: "custom without endpoints", file: "dialect: custom",
			want: "endpoints: is empty: the dialect custom needs at least one endpoint"},
		{name: "endpoints without custom", file: "endpoints: [{name: a, method: GET, path: '/{token}', credential: 'query:a', pending: [a], succeeded: [b]}]",
			want: "endpoints: is set: only the dialect custom takes endpoints, the others bring theirs (file PATH:1)"},
		{name: "an endpoint twice", file: `
dialect: custom
endpoints:
- &one {name: a, method: GET, path: '/{token}', credential: 'query:a', pending: [a], succeeded: [b]}
- {name: a, method: POST, path: '/{token}', credential: 'query:a', pending: [a], succeeded: [b]}`,
			want: `endpoints: endpoint "a" stands twice: names have to be unique (file PATH:4)`},
		{name: "an endpoint that is none", file: "dialect: custom\nendpoints: [{name: a, method: PUT, path: '/{token}', credential: 'query:a', pending: [a], succeeded: [b]}]",
			want: `endpoints[0]: method: "PUT": want GET or POST (file PATH:2)`},
		{name: "endpoints in the environment", env: []string{"POLLBRIDGE_ENDPOINTS=a"},
			want: "endpoints: can only be set in the file (environment POLLBRIDGE_ENDPOINTS)"},
		{name: "an unknown variable", env: []string{"POLLBRIDGE_UPSTREAM_TIMEOT=1s", "POLLBRIDGE_ADMIN_KAY=x", "POLLBRIDGE_VERBOSE=1"},
			want: "environment POLLBRIDGE_UPSTREAM_TIMEOT: is no setting; did you mean POLLBRIDGE_UPSTREAM_TIMEOUT?\n" +
				"environment POLLBRIDGE_ADMIN_KAY: is no setting; did you mean POLLBRIDGE_ADMIN_KEY?\n" +
				"environment POLLBRIDGE_VERBOSE: is no setting"},
		{name: "one address for two", file: "listen: ':1'", env: []string{"POLLBRIDGE_ADMIN_LISTEN=:1"},
			want: `admin.listen: ":1": want another address than listen (environment POLLBRIDGE_ADMIN_LISTEN)`},
		{name: "a default that no longer fits", file: "cache: {pending_ttl: 1h}",
			want: `cache.final_ttl: "15m": want at least pending_ttl, which is 1h`},
		{name: "several at once", file: "log: {level: loud}\nbreaker: {probes: none}", env: []string{"POLLBRIDGE_STORE_SYNC=never"},
			want: `breaker.probes: "none": want a whole number (file PATH:2)` + "\n" +
				`store.sync: "never": want one of always, interval (environment POLLBRIDGE_STORE_SYNC)` + "\n" +
				`log.level: "loud": want one of debug, info, warn, error (file PATH:1)`},
	} {
		path := file(t, test.file)
		e := mistakes(t, config.Sources{File: path, Env: append(test.env, urlVariable)})
		if got := strings.ReplaceAll(e.Error(), path, "PATH"); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestAMissingURLSaysHowToSetIt(t *testing.T) {
	e := mistakes(t, config.Sources{File: file(t, "listen: ':1'")})
	want := "upstream.url: is not set: use --upstream URL, the environment variable POLLBRIDGE_UPSTREAM_URL, or upstream.url in the file"
	if e.Error() != want {
		t.Errorf("Load without a URL: %v; want %s", e, want)
	}
}

func TestAFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir + "/none": "file " + dir + "/none: cannot be read: no such file or directory",
		dir:           "file " + dir + ": cannot be read: is a directory",
	} {
		// That no URL is set would be a guess: it may well be in the file.
		if e := mistakes(t, config.Sources{File: path}); e.Error() != want {
			t.Errorf("Load(%s): %v; want %s", path, e, want)
		}
	}
}

func TestMistakesInFlags(t *testing.T) {
	e := mistakes(t, config.Sources{Flags: map[string]any{"upstream.url": "", "listen": "8080", "no.such": 1}})
	want := "no.such: is no setting (flag)\n" +
		`listen: "8080": want HOST:PORT such as 127.0.0.1:8080, or :8080 for every address of the machine (flag --listen)` + "\n" +
		"upstream.url: is not set: use --upstream URL, the environment variable POLLBRIDGE_UPSTREAM_URL, or upstream.url in the file (flag --upstream)"
	if e.Error() != want {
		t.Errorf("Load(flags):\n%v\nwant\n%s", e, want)
	}
}

// TestNoMistakeShowsASecret puts a secret wherever one may stand, each time in a
// way that is wrong.
func TestNoMistakeShowsASecret(t *testing.T) {
	const secret = "hunter2"
	for _, content := range []string{
		"admin: {keys: [hunter2]}",
		"admin: {keys: hunter2}",
		"admin: {keys: [[hunter2]]}",
		"admin: {keys: [{hunter2: a}]}",
		"admin: {keys: {hunter2: hunter2}}",
		"admin: {keys: [*hunter2]}",
		"admin: {keys: [ok, !tag hunter2]}",
		"admin: hunter2",
		"admin: [hunter2]",
		"admin: {key: hunter2}",
		"adminkeys: [hunter2]",
		"admin: {keys: ['hunter2]}",
		"admin: {keys: [\"\\hunter2\"]}",
		"admin: {keys: [hunter2]}\nadmin: {keys: [hunter2]}",
		"webhook: {header_hosts: {a.test: hunter2}}",
		"webhook: {header_hosts: {a.test: whsec_hunter2, a.test: whsec_hunter2}}",
		"webhook: {header_hosts: {'a.test:1': whsec_hunter2}}",
		"webhook: {header_hosts: {whsec_hunter2: a.test}}",
		"webhook: {header_hosts: {a.test: [hunter2]}}",
		"webhook: {header_hosts: hunter2}",
		"webhook: {header_hosts: [hunter2]}",
		"webhook: {header_host: {a.test: hunter2}}",
		"store: {url: 'http://user:hunter2@engine.test'}",
		"store: {cluster: {listen: ':1', routes: ['user:hunter2@b']}}",
		"store: {cluster: {routes: 'nats://user:hunter2@b:1'}}",
		"tracing: {otlp_endpoint: 'https://user:hunter2@c.test'}",
	} {
		if e := mistakes(t, config.Sources{File: file(t, content), Env: []string{urlVariable}}); strings.Contains(e.Error(), secret) {
			t.Errorf("%s: %v\nshows the secret", content, e)
		}
	}
	for _, variable := range []string{
		"POLLBRIDGE_UPSTREAM_URL=https://user:hunter2@upstream.test",
		"POLLBRIDGE_UPSTREAM_URL=user:hunter2@upstream.test",
		"POLLBRIDGE_UPSTREAM_URL=https://upstream.test/?access_token=hunter2",
		"POLLBRIDGE_ADMIN_KEY=hunter2",
		"POLLBRIDGE_ADMIN_KEYS=hunter2,hunter2",
		"POLLBRIDGE_ADMIN_KAY=hunter2",
		"POLLBRIDGE_WEBHOOK_HEADER_HOSTS=hunter2",
		"POLLBRIDGE_WEBHOOK_HEADER_HOSTS=a.test=hunter2",
		"POLLBRIDGE_WEBHOOK_HEADER_HOSTS=whsec_hunter2==",
		"POLLBRIDGE_WEBHOOK_HEADER_HOSTS=a.test=hunter2,a.test=hunter2",
	} {
		if e := mistakes(t, config.Sources{Env: []string{urlVariable, variable}}); strings.Contains(e.Error(), secret) {
			t.Errorf("%s: %v\nshows the secret", variable, e)
		}
	}
}
