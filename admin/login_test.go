package admin_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/admin"
	"pollbridge/internal/peer"
	"pollbridge/internal/testkit"
)

// console is a server that browsers log in at.
type console struct {
	t      *testing.T
	url    string
	client *http.Client
}

type consoleOptions struct {
	keys    []string
	logins  *fakeLogins
	proxies peer.Proxies
	far     bool // connections look as if they came from another machine
	tls     testkit.Certificate
	ping    time.Duration
	events  *fakes
}

func startConsole(t *testing.T, o consoleOptions) *console {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	c := &console{t: t, url: "http://" + ln.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	cfg := admin.DefaultConfig()
	cfg.Keys = o.keys
	if cfg.TLS.CertFile, cfg.TLS.KeyFile = o.tls.CertFile, o.tls.KeyFile; cfg.TLS.CertFile != "" {
		c.url = "https://" + ln.Addr().String()
		c.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: o.tls.Pool()}}
	}
	t.Cleanup(c.client.CloseIdleConnections)
	if o.far {
		ln = elsewhere{ln}
	}
	if o.events == nil {
		o.events = newFakes()
	}
	var log testkit.LogBuffer
	server, err := admin.New(cfg, admin.Options{
		Ready: func() error { return nil }, Registry: prometheus.NewRegistry(), Metrics: prometheus.NewRegistry(), Log: log.Logger(slog.LevelDebug),
		Services: o.events.services(), Ping: o.ping, Proxies: o.proxies, Logins: o.logins,
	})
	testkit.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	c.do("GET", "/healthz", "") // what is not served yet cannot be shut down
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		testkit.NoError(t, server.Shutdown(ctx))
		testkit.NoError(t, <-served)
		if strings.Contains(log.String(), "sesame") {
			t.Errorf("the log holds a key: %s", &log)
		}
	})
	return c
}

func (c *console) do(method, path, body string, fields ...string) *http.Response {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	testkit.NoError(c.t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	answer, err := c.client.Do(request)
	testkit.NoError(c.t, err)
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	answer.Body = io.NopCloser(strings.NewReader(string(text)))
	return answer
}

const samePage = "Sec-Fetch-Site: same-origin"

// login returns the cookie, as a browser sends it.
func (c *console) login(key string, fields ...string) (cookie string) {
	c.t.Helper()
	a := c.do("POST", "/login", fmt.Sprintf(`{"key":%q}`, key), append(fields, samePage)...)
	if a.StatusCode != 204 || len(a.Cookies()) != 1 {
		text, _ := io.ReadAll(a.Body)
		c.t.Fatalf("login = %d %s %v", a.StatusCode, text, a.Cookies())
	}
	return "Cookie: " + a.Cookies()[0].Name + "=" + a.Cookies()[0].Value
}

func (c *console) want(status int, method, path string, fields ...string) {
	c.t.Helper()
	if a := c.do(method, path, "", fields...); a.StatusCode != status {
		text, _ := io.ReadAll(a.Body)
		c.t.Errorf("%s %s with %q = %d %s; want %d", method, path, fields, a.StatusCode, text, status)
	}
}

func newLogins() *fakeLogins { return &fakeLogins{kept: map[string][]byte{}} }

const otherKey = "sesame-of-another-1"

func TestLogin(t *testing.T) {
	logins := newLogins()
	c := startConsole(t, consoleOptions{keys: []string{key, otherKey}, logins: logins})
	a := c.do("POST", "/login", `{"key":"`+key+`"}`, samePage)
	want := "pollbridge=%s; max-age=43200; path=/; HttpOnly; SameSite=Strict"
	if got := a.Header.Get("Set-Cookie"); a.StatusCode != 204 || got != fmt.Sprintf(want, a.Cookies()[0].Value) {
		t.Errorf("login = %d, Set-Cookie %q; want %q", a.StatusCode, got, want)
	}
	for id, kept := range logins.kept {
		if strings.Contains(id+string(kept), a.Cookies()[0].Value) || strings.Contains(string(kept), "sesame") {
			t.Errorf("the store holds %s: %s, which lets in", id, kept)
		}
	}
	cookie := c.login(key)
	c.want(200, "GET", "/v1/stats", cookie, samePage)
	c.want(200, "GET", "/v1/stats", cookie)
	c.want(401, "GET", "/v1/stats", "Cookie: pollbridge=x")
	c.want(401, "GET", "/v1/stats", strings.Replace(cookie, "pollbridge", "__Host-pollbridge", 1))
	c.want(401, "GET", "/metrics", cookie, "X-Forwarded-For: 192.0.2.1") // somebody else's way here

	t.Log("another replica, where one of the keys is not in use any more")
	second := startConsole(t, consoleOptions{keys: []string{key}, logins: logins})
	others := c.login(otherKey)
	second.want(200, "GET", "/v1/stats", cookie, samePage)
	second.want(401, "GET", "/v1/stats", others, samePage)

	t.Log("logged out at one, logged out at the other")
	second.want(204, "POST", "/logout", cookie, samePage)
	for _, at := range []*console{c, second} {
		at.want(401, "GET", "/v1/stats", cookie, samePage)
	}
	c.want(200, "GET", "/v1/stats", others, samePage)
}

// TestLoginWithoutAStore: memory knows, too, who has logged in here.
func TestLoginWithoutAStore(t *testing.T) {
	logins := newLogins()
	c := startConsole(t, consoleOptions{keys: []string{key}, logins: logins})
	before := c.login(key)
	logins.set(errors.New("fake: no store"))
	during := c.login(key)
	for _, cookie := range []string{before, during} {
		c.want(200, "GET", "/v1/stats", cookie, samePage)
	}
	c.want(401, "GET", "/v1/stats", "Cookie: pollbridge=x")
	c.want(503, "POST", "/logout", before, samePage)
	c.want(401, "GET", "/v1/stats", before, samePage)
	logins.set(nil)
	c.want(200, "GET", "/v1/stats", during, samePage)
	clear(logins.kept) // 12 h later
	c.want(401, "GET", "/v1/stats", before, samePage)
}

func TestWhereBrowsersMayLogIn(t *testing.T) {
	proxies := peer.Proxies{netip.MustParsePrefix("192.0.2.1/32")}
	certificate := testkit.NewCertificate(t)
	for _, test := range []struct {
		name   string
		o      consoleOptions
		fields []string
		cookie string // empty: refused
	}{
		{"this machine", consoleOptions{}, nil, "pollbridge"},
		{"a proxy on this machine", consoleOptions{proxies: proxies}, []string{"X-Forwarded-Proto: https"}, ""},
		{"another machine", consoleOptions{far: true}, nil, ""},
		{"one that says https", consoleOptions{far: true}, []string{"X-Forwarded-Proto: https"}, ""},
		{"a trusted proxy that says https", consoleOptions{far: true, proxies: proxies}, []string{"X-Forwarded-Proto: https"}, "__Host-pollbridge"},
		{"a trusted proxy that says http", consoleOptions{far: true, proxies: proxies}, []string{"X-Forwarded-Proto: http"}, ""},
		{"a trusted proxy that says nothing", consoleOptions{far: true, proxies: proxies}, nil, ""},
		{"TLS", consoleOptions{far: true, tls: certificate}, nil, "__Host-pollbridge"},
	} {
		test.o.keys, test.o.logins = []string{key}, newLogins()
		c := startConsole(t, test.o)
		if test.cookie == "" {
			a := c.do("POST", "/login", `{"key":"`+key+`"}`, append(test.fields, samePage)...)
			if text, _ := io.ReadAll(a.Body); a.StatusCode != 403 || !strings.Contains(string(text), "https") || len(a.Cookies()) > 0 {
				t.Errorf("%s: login = %d %s; want 403", test.name, a.StatusCode, text)
			}
			continue
		}
		cookie := c.login(key, test.fields...)
		if name, _, _ := strings.Cut(cookie, "="); name != "Cookie: "+test.cookie {
			t.Errorf("%s: %s; want the cookie %s", test.name, name, test.cookie)
		}
		c.want(200, "GET", "/v1/stats", append(test.fields, cookie, samePage)...)
	}
}

// TestOtherPages cannot do anything with somebody's cookie, which comes with their requests
// where only the port differs.
func TestOtherPages(t *testing.T) {
	f := newFakes()
	f.happen("session.pending")
	c := startConsole(t, consoleOptions{keys: []string{key}, logins: newLogins(), events: f})
	cookie, own := c.login(key), "Origin: "+c.url
	const path = "/v1/sessions/ses_1"
	for _, test := range []struct {
		fields  []string
		changes bool
		look    int
	}{
		{[]string{samePage}, true, 200},
		{[]string{"Sec-Fetch-Site: same-site"}, false, 403},
		{[]string{"Sec-Fetch-Site: cross-site"}, false, 403},
		{[]string{"Sec-Fetch-Site: same-site", own}, false, 403},
		{[]string{"Sec-Fetch-Site: none"}, false, 200},
		{[]string{own}, true, 200},
		{[]string{"Origin: http://localhost:1"}, false, 403},
		{[]string{"Origin: null"}, false, 403},
		{nil, false, 200},
	} {
		fields := append(test.fields, cookie)
		c.want(test.look, "GET", "/v1/stats", fields...)
		change, logout := 403, 403
		if test.changes {
			change, logout = 404, 204
		}
		c.want(change, "DELETE", path, fields...)
		c.want(change, "DELETE", path, fields...)
		c.want(logout, "POST", "/logout", append(test.fields, "Cookie: pollbridge=x")...)
		if a := c.do("POST", "/login", `{"key":"`+key+`"}`, test.fields...); (a.StatusCode == 204) != test.changes {
			t.Errorf("login with %q = %d", test.fields, a.StatusCode)
		}
		c.want(200, "GET", "/v1/stats", append(test.fields, "Authorization: Bearer "+key)...)
	}
}

func TestWrongLogins(t *testing.T) {
	proxies := peer.Proxies{netip.MustParsePrefix("192.0.2.1/32")}
	c := startConsole(t, consoleOptions{keys: []string{key}, logins: newLogins(), far: true, proxies: proxies})
	from := func(address string) []string {
		return []string{samePage, "X-Forwarded-Proto: https", "X-Forwarded-For: " + address}
	}
	for _, body := range []string{"", "{", `{"key":1}`, `{"key":"` + strings.Repeat("x", 10_000) + `"}`, `{"key":"a","key":"b"}`} {
		if a := c.do("POST", "/login", body, from("198.51.100.7")...); a.StatusCode != 400 {
			t.Errorf("login with %.30q = %d; want 400", body, a.StatusCode)
		}
	}
	before := c.login(key, from("198.51.100.1")...)
	for n := range 10 { // by both ways
		fields := from("198.51.100.1")
		if n%2 == 0 {
			c.want(401, "GET", "/v1/stats", append(fields, "Authorization: Bearer wrong")...)
		} else if a := c.do("POST", "/login", `{"key":"wrong"}`, fields...); a.StatusCode != 403 {
			t.Errorf("login with a wrong key = %d; want 403", a.StatusCode)
		}
	}
	c.want(429, "GET", "/v1/stats", append(from("198.51.100.1"), "Authorization: Bearer "+key)...)
	a := c.do("POST", "/login", `{"key":"`+key+`"}`, from("198.51.100.1")...)
	if after := a.Header.Get("Retry-After"); a.StatusCode != 429 || after == "" || after == "0" {
		t.Errorf("the eleventh login = %d, Retry-After %q; want 429", a.StatusCode, after)
	}
	c.want(200, "GET", "/v1/stats", append(from("198.51.100.1"), before)...)
	c.want(200, "GET", "/v1/stats", append(from("198.51.100.2"), "Authorization: Bearer "+key)...)
	c.login(key, from("198.51.100.2")...)
}

// TestStreamEndsWithItsLogin although nobody has closed it.
func TestStreamEndsWithItsLogin(t *testing.T) {
	c := startConsole(t, consoleOptions{keys: []string{key}, logins: newLogins(), ping: 20 * time.Millisecond})
	cookie := c.login(key)
	request, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/v1/events/stream", nil)
	testkit.NoError(t, err)
	name, value, _ := strings.Cut(cookie, ": ")
	request.Header.Set(name, value)
	stream, err := c.client.Do(request)
	testkit.NoError(t, err)
	defer stream.Body.Close()
	buffer := make([]byte, 100)
	if n, err := stream.Body.Read(buffer); err != nil || n == 0 {
		t.Fatalf("the stream begins with %q, %v", buffer[:n], err)
	}
	c.want(204, "POST", "/logout", cookie, samePage)
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
}
