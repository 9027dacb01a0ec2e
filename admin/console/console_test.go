package console_test

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"pollbridge/admin/console"
	"pollbridge/internal/testkit"
)

// mostSent is how much a browser may have to fetch for the dashboard, in bytes.
const mostSent = 120 << 10

type answer struct {
	status int
	header func(name string) string
	body   []byte
}

func serve(t *testing.T) func(path string, fields ...string) answer {
	app := fiber.New()
	console.Register(app)
	return func(path string, fields ...string) answer {
		t.Helper()
		request := httptest.NewRequest("GET", path, nil)
		for _, field := range fields {
			name, value, _ := strings.Cut(field, ": ")
			request.Header.Set(name, value)
		}
		response, err := app.Test(request, -1)
		testkit.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		testkit.NoError(t, err)
		return answer{response.StatusCode, response.Header.Get, body}
	}
}

// needed are the addresses that a file names, at once or later.
var needed = regexp.MustCompile(`(?:src="|href="|href: ')(/console/[^"']+)|(?:from |import |import\()'(\.[^']+)'`)

// fetchAll fetches a page and all that it needs, packed, and returns how much that was.
func fetchAll(t *testing.T, get func(path string, fields ...string) answer, page string) (size int) {
	t.Helper()
	seen := map[string]bool{}
	var fetch func(address string)
	fetch = func(address string) {
		if seen[address] {
			return
		}
		seen[address] = true
		a := get(address, "Accept-Encoding: br, gzip")
		size += len(a.body)
		if a.status != 200 || a.header("Content-Encoding") != "gzip" {
			t.Errorf("%s = %d, encoded as %q", address, a.status, a.header("Content-Encoding"))
			return
		}
		unpacked, err := gzip.NewReader(strings.NewReader(string(a.body)))
		testkit.NoError(t, err)
		text, err := io.ReadAll(unpacked)
		testkit.NoError(t, err)
		if plain := get(address); string(plain.body) != string(text) || plain.header("Content-Encoding") != "" {
			t.Errorf("%s is another file where it is not packed", address)
		}
		for _, found := range needed.FindAllStringSubmatch(string(text), -1) {
			if next := found[1]; next != "" {
				fetch(next)
			} else {
				fetch(filepath.Join(filepath.Dir(address), found[2]))
			}
		}
	}
	fetch(page)
	return size
}

func TestPages(t *testing.T) {
	get := serve(t)
	if size := fetchAll(t, get, "/"); size > mostSent {
		t.Errorf("the dashboard takes %d bytes; want %d at most", size, mostSent)
	} else {
		t.Logf("the dashboard takes %d bytes", size)
	}
	t.Logf("the description takes %d bytes", fetchAll(t, get, "/docs"))
	for path, only := range map[string]string{"/": "require-trusted-types-for 'script'", "/docs": "default-src 'none'", "/console/main.js": "default-src 'none'"} {
		a := get(path)
		policy := a.header("Content-Security-Policy")
		if !strings.Contains(policy, only) || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		if a.header("X-Content-Type-Options") != "nosniff" || a.header("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s lacks a header", path)
		}
		if again := get(path, "If-None-Match: "+a.header("ETag")); again.status != 304 || len(again.body) > 0 {
			t.Errorf("%s again = %d, %d bytes; want 304", path, again.status, len(again.body))
		}
	}
	for _, path := range []string{"/console/", "/console/index.html", "/console/../console.go", "/console/nothing.js"} {
		if a := get(path); a.status != 404 {
			t.Errorf("%s = %d; want 404", path, a.status)
		}
	}
}

// TestOwnFiles: nothing from elsewhere, and nothing that makes text into HTML.
func TestOwnFiles(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|sessionStorage|\bstyle=|\bon[a-z]+="|<script>|<style|@import|url\(|//[a-z0-9.-]+\.[a-z]{2,}`)
	err := filepath.WalkDir("files", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "third_party") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range forbidden.FindAllString(string(text), -1) {
			if found != "//www.w3.org" && found != "//example.com" { // a name, and what a field could hold
				t.Errorf("%s has %s", path, found)
			}
		}
		return err
	})
	testkit.NoError(t, err)
}
