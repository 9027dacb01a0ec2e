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

	got := fmt.Sprint(m.Err())
	want := `ttl: "-1m30s": want 0s or more` + "\n" +
		`sync: "never": want one of always, interval` + "\n" +
		`keys[0]: is a secret`
	if got != want {
		t.Errorf("Err() =\n%s\nwant\n%s", got, want)
	}
	if all := check.All(fmt.Errorf("wrapped: %w", errors.New("x"))); len(all) != 1 || all[0].Problem != "wrapped: x" {
		t.Errorf("All(foreign error) = %+v; want one mistake with its text", all)
	}
	if all := check.All(m.Err()); len(all) != 3 || all[1].Key != "sync" {
		t.Errorf("All(Err()) = %+v; want the three mistakes", all)
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
		"nats://a:hunter2@b:x", "https://user:hunter2@a@host", "//hunter2@", "https://hunter2:x?@host",
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
		dir:           "want a file, not a directory",
		file + "none": "want a file that can be read, but: no such file or directory",
	} {
		var m check.Mistakes
		m.File("file", path)
		if got := fmt.Sprint(m.Err()); !strings.HasSuffix(got, want) || (want == "") != (m.Err() == nil) {
			t.Errorf("File(%q): %v; want %q", path, got, want)
		}
	}
}
