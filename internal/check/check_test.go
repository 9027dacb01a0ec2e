package check_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/check"
)

func TestMistakesAreReportedTogetherAndInOrder(t *testing.T) {
	var m check.Mistakes
	m.Want(true, "fine", 1, "anything")
	m.Want(false, "ttl", -90*time.Second, "0s or more")
	m.OneOf("sync", "never", "always", "interval")
	m.Add("keys[0]", "is a secret")
	m.AddEntry("hosts", "a.test", "has an entry that is wrong")
	var inner check.Mistakes
	inner.Want(false, "ttl", "x", "less")
	m.Within("cache", inner.Err())
	m.Within("", inner.Err())
	m.Within("cache", errors.New("is wrong as a whole"))

	got := fmt.Sprint(m.Err())
	want := `ttl: "-1m30s": want 0s or more` + "\n" +
		`sync: "never": want one of always, interval` + "\n" +
		`keys[0]: is a secret` + "\n" +
		`hosts: has an entry that is wrong` + "\n" +
		`cache.ttl: "x": want less` + "\n" + `ttl: "x": want less` + "\n" + `cache: is wrong as a whole`
	if got != want {
		t.Errorf("Err() =\n%s\nwant\n%s", got, want)
	}
	if all := check.All(fmt.Errorf("wrapped: %w", errors.New("x"))); len(all) != 1 || all[0].Problem != "wrapped: x" {
		t.Errorf("All(foreign error) = %+v; want one mistake with its text", all)
	}
	if all := check.All(m.Err()); len(all) != 7 || all[1].Key != "sync" {
		t.Errorf("All(Err()) = %+v; want the seven mistakes", all)
	}
}

func TestMistakeError(t *testing.T) {
	for want, m := range map[string]check.Mistake{
		`a.b: "x": want y (file f:1)`: {Key: "a.b", Value: "x", Problem: "want y", Source: "file f:1"},
		`a.b: want y`:                 {Key: "a.b", Problem: "want y"},
		`file f:1: is no YAML`:        {Problem: "is no YAML", Source: "file f:1"},
		`is wrong`:                    {Problem: "is wrong"},
	} {
		if got := m.Error(); got != want {
			t.Errorf("%+v reads %s; want %s", m, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"serve", "version", "check-config"}
	for name, want := range map[string]string{"sevre": "serve", "chek-confg": "check-config", "serve": "serve", "x": "", "subscriptions": ""} {
		if got := check.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q; want %q", name, got, want)
		}
	}
}

func TestErrIsNilWithoutMistakes(t *testing.T) {
	var m check.Mistakes
	if err := m.Err(); err != nil {
		t.Errorf("Err() = %v; want nil", err)
	}
}

func TestLongValuesAreCut(t *testing.T) {
	var m check.Mistakes
	m.Want(false, "key", strings.Repeat("ž", 10_000), "less")
	if text := m.Err().Error(); len(text) > 200 {
		t.Errorf("the error takes %d bytes; want a readable line", len(text))
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{15 * time.Minute, "15m"},
		{168 * time.Hour, "168h"},
		{90 * time.Minute, "1h30m"},
		{time.Hour + time.Second, "1h0m1s"},
		{10 * time.Second, "10s"},
		{100 * time.Millisecond, "100ms"},
		{time.Duration(0), "0s"},
		{-time.Hour, "-1h"},
		{0.5, "0.5"},
		{"text", "text"},
	} {
		if got := check.Text(test.value); got != test.want {
			t.Errorf("Text(%v) = %q; want %q", test.value, got, test.want)
		}
	}
}

func TestListen(t *testing.T) {
	for address, ok := range map[string]bool{
		":8080": true, "127.0.0.1:0": true, "localhost:65535": true, "[::1]:80": true, "[fe80::1%eth0]:80": true,
		"": false, "8080": false, "localhost": false, ":http": false, ":65536": false, ":-1": false,
		"http://localhost:80": false, "::1:80": false, "a b:80": false,
	} {
		var m check.Mistakes
		m.Listen("listen", address)
		if got := m.Err() == nil; got != ok {
			t.Errorf("Listen(%q): %v; want accepted: %v", address, m.Err(), ok)
		}
	}
}

func TestURL(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://host": true, "https://host:8443/base/": true, "https://[::1]:1": true,
		"": false, "host": false, "host:80": false, "ftp://host": false, "https://": false, "https://:443": false,
		"https://host:0": false, "https://host:70000": false, "https://host:x": false, "https:host": false,
		"https://user@host": false, "https://host?": false, "https://host?a=b": false, "https://host#": false,
		"https://ho st": false, "https://host/\n": false,
	} {
		var m check.Mistakes
		m.URL("url", url, "http", "https")
		if got := m.Err() == nil; got != ok {
			t.Errorf("URL(%q): %v; want accepted: %v", url, m.Err(), ok)
		}
	}
	var m check.Mistakes
	if m.URLWithUser("url", "nats://user:password@host", "nats"); m.Err() != nil {
		t.Errorf("URLWithUser: %v; want it accepted", m.Err())
	}
}

func TestURLMistakesShowNoPassword(t *testing.T) {
	for _, url := range []string{
		"https://user:hunter2@host", "https://user:hunt/er2@host", "user:hunter2@host", "https://host?key=hunter2",
		"nats://a:hunter2@b:x", "https://user:hunter2", "user:hunter2", "https://user:hunter2/path", "https://host#hunter2", "https://user:hunter2@a@host", "//hunter2@", "https://hunter2:x?@host",
	} {
		var m check.Mistakes
		m.URL("url", url, "http", "https")
		if err := m.Err(); err == nil || strings.Contains(err.Error(), "er2") {
			t.Errorf("URL(%q): %v; want a mistake without the password", url, err)
		}
	}
}

func TestRedacted(t *testing.T) {
	for value, want := range map[string]string{
		"https://host/path":     "https://host/path",
		"nats://u:p@host:4222":  "nats://***@host:4222",
		"nats://u:p@ss@host/x":  "nats://***@host/x",
		"u:p@host":              "***@host",
		"https://host/?token=x": "https://host/?***",
		"https://u:p?q@host":    "https://***@host",
		"https://host#x":        "https://host#***",
		"a whsec_abc=":          "a whsec_***",
		"pbk_abc def":           "pbk_***",
		"":                      "",
	} {
		if got := check.Redacted(value); got != want {
			t.Errorf("Redacted(%q) = %q; want %q", value, got, want)
		}
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:          "",
		dir:           "want a file that can be read, but: it is a directory",
		file + "none": "want a file that can be read, but: no such file or directory",
	} {
		var m check.Mistakes
		ok := m.File("file", path)
		if got := fmt.Sprint(m.Err()); !strings.HasSuffix(got, want) || (want == "") != ok || ok != (m.Err() == nil) {
			t.Errorf("File(%q) = %v, %v; want %q", path, ok, got, want)
		}
		var secret check.Mistakes
		if got := secret.SecretFile("file", path); got != ok || strings.Contains(fmt.Sprint(secret.Err()), path) || ok != (secret.Err() == nil) {
			t.Errorf("SecretFile(%q) = %v, %v; want %v, and no path", path, got, secret.Err(), ok)
		}
	}
}

func TestIsName(t *testing.T) {
	for _, name := range []string{"", "url", "body", "events[31]", "access_token", "X-Forwarded-For", "<<", "cache.max_size", "ed25"} {
		if !check.IsName(name) {
			t.Errorf("%q is no name", name)
		}
	}
	for _, secret := range []string{"whsec_abc", "WHSEC_abc", "pbk_abc", "0b6cbb2e", "a b", "c2VjcmV0c2Vj", strings.Repeat("hidden", 7), "a[12345]", "ž"} {
		if check.IsName(secret) {
			t.Errorf("%q is a name", secret)
		}
	}
}
