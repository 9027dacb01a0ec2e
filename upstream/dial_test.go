package upstream_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/upstream"
)

const proxyUser, proxyPassword = "user", "hunter2"

// startProxy starts a proxy that leads everything to one address, whatever name it is
// asked for, and counts how.
type proxyServer struct {
	*testkit.RawUpstream
	to string

	mu      sync.Mutex
	asked   []string // guarded by mu
	refuses int      // the status of CONNECT; guarded by mu
}

func (p *proxyServer) note(format string, args ...any) (refuses int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, fmt.Sprintf(format, args...))
	return p.refuses
}

func (p *proxyServer) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.Join(p.asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("the proxy was asked\n%s; want\n%s", strings.Join(p.asked, "\n"), strings.Join(want, "\n"))
	}
}

// lead copies both ways until one side ends.
func (p *proxyServer) lead(client net.Conn, from io.Reader) {
	onward, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { io.Copy(onward, from); onward.(*net.TCPConn).CloseWrite() })
	both.Go(func() { io.Copy(client, onward); client.Close() })
	both.Wait()
	onward.Close()
}

// serveHTTP speaks as an HTTP proxy does.
func (p *proxyServer) serveHTTP(conn *testkit.Conn) {
	raw, ok := conn.ReadRequest()
	if !ok {
		return
	}
	method, rest, _ := strings.Cut(raw, " ")
	target, rest, _ := strings.Cut(rest, " ")
	_, authorization, _ := strings.Cut(rest, "Proxy-Authorization: Basic ")
	authorization, _, _ = strings.Cut(authorization, "\r")
	user, _ := base64.StdEncoding.DecodeString(authorization)
	refuses := p.note("%s %s as %s", method, target, user)
	if method != http.MethodConnect && refuses > 0 {
		conn.Say(answer(refuses, "hunter2 is wrong", "Proxy-Authenticate: Basic"))
		return
	}
	if method != http.MethodConnect {
		conn.Say(answer(200, waiting, "Connection: close"))
		return
	}
	if refuses > 0 {
		conn.Say(answer(refuses, "hunter2 is wrong", "Proxy-Authenticate: Basic"))
		return
	}
	conn.Say("HTTP/1.1 200 Connection established\r\n\r\n")
	p.lead(conn.Conn, conn.Reader)
}

// serveSocks speaks SOCKS5 (RFC 1928, RFC 1929).
func (p *proxyServer) serveSocks(conn *testkit.Conn) {
	take := func(n byte) []byte {
		b := make([]byte, n)
		io.ReadFull(conn.Reader, b)
		return b
	}
	take(take(2)[1])
	conn.Write([]byte{5, 2}) // user and password
	user := string(take(take(2)[1]))
	password := string(take(take(1)[0]))
	if p.note("SOCKS5 as %s:%s", user, password) > 0 {
		conn.Write([]byte{1, 1})
		return
	}
	conn.Write([]byte{1, 0})
	head := take(4)
	if head[3] != 3 { // not a name, so the address was looked up before
		p.note("an address instead of a name")
		take(map[byte]byte{1: 4, 4: 16}[head[3]])
	} else {
		p.note("for %s", take(take(1)[0]))
	}
	take(2)
	conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	p.lead(conn.Conn, conn.Reader)
}

func startProxy(t *testing.T, scheme, to string, certificates []tls.Certificate) (*proxyServer, string) {
	p := &proxyServer{to: to}
	p.RawUpstream = testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		if scheme == "https" {
			conn.StartTLS(&tls.Config{Certificates: certificates})
		}
		if strings.HasPrefix(scheme, "socks") {
			p.serveSocks(conn)
		} else {
			p.serveHTTP(conn)
		}
	})
	return p, fmt.Sprintf("%s://%s:%s@%s", scheme, proxyUser, proxyPassword, p.Addr())
}

func through(proxy string) func(*setup) { return func(s *setup) { s.ProxyURL = proxy } }

// TestProxy serves polls and what passes through alike. The certificate is for
// example.com, which only the proxy knows.
func TestProxy(t *testing.T) {
	certificates, ca := certificate(t)
	for _, scheme := range []string{"http", "https", "socks5", "socks5h"} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s secure %t", scheme, secure), func(t *testing.T) {
				s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
					if secure {
						p.StartTLS(&tls.Config{Certificates: certificates})
					}
					answering(answer(200, waiting))(p)
				})
				p, url := startProxy(t, scheme, s.Addr(), certificates)
				upstreamURL := map[bool]string{false: "http://example.com/base", true: "https://example.com/base"}[secure]
				c := newClient(t, upstreamURL, through(url), func(s *setup) { s.CAFile = ca })
				absolute := !secure && strings.HasPrefix(scheme, "http")
				for i := range 2 {
					o, err := c.Poll(t.Context(), question(t, dialect("marksign"), 0, "z=%2F&y=1", `{"access_token":"x"}`), forClient)
					if err != nil {
						t.Fatal(err)
					}
					if got := string(o.Body); got != waiting {
						t.Errorf("Poll = %s; want %s", got, waiting)
					}
					if i > 0 {
						break
					}
					response, err := c.Forward(request(t, c, "GET", "//a%2Fb/%zz?x=1;y", nil), nil)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				as := " as user:hunter2"
				poll := "/base/smartid/sign/status/" + token + ".json?y=1&z=%2F"
				switch {
				case absolute:
					p.wantAsked(t, "POST http://example.com"+poll+as, "GET http://example.com/base//a%2Fb/%zz?x=1;y"+as,
						"POST http://example.com"+poll+as)
					return
				case strings.HasPrefix(scheme, "http"):
					p.wantAsked(t, "CONNECT example.com:443"+as, "CONNECT example.com:443"+as)
				case secure:
					p.wantAsked(t, "SOCKS5"+as, "for example.com", "SOCKS5"+as, "for example.com")
				}
				wantConnections(t, s, 2) // one for polls and one for the others
				for i, want := range []string{"POST " + poll, "GET /base//a%2Fb/%zz?x=1;y", "POST " + poll} {
					if line, _, _ := strings.Cut(s.Requests()[i], " HTTP"); line != want || strings.Contains(s.Requests()[i], "Proxy-") {
						t.Errorf("the upstream saw %q; want %s", s.Requests()[i], want)
					}
				}
			})
		}
	}
}

// TestProxyThatRefuses, is not there, or does not answer: no connection could be made, and
// the reason is told without the password.
func TestProxyThatRefuses(t *testing.T) {
	for _, c := range []struct {
		name, scheme string
		refuses      int
		handle       func(*testkit.Conn)
		want         string
	}{
		{"refused in absolute form", "http", 407, nil, "upstream.proxy_url: the proxy wants another user or password"},
		{"refused", "http", 407, nil, "the proxy answered CONNECT with 407 Proxy Authentication Required"},
		{"forbidden", "http", 403, nil, "the proxy answered CONNECT with 403 Forbidden"},
		{"socks refused", "socks5", 1, nil, "upstream.proxy_url: socks connect"},
		{"no HTTP", "http", 0, func(p *testkit.Conn) { p.Say("hunter2\r\n\r\n") }, "upstream.proxy_url: CONNECT: "},
		{"says too much", "http", 0, func(p *testkit.Conn) {
			p.Reader.ReadString('\n')
			p.Say("HTTP/1.1 200 OK\r\n\r\nhunter2")
			p.UntilClosed()
		}, "upstream.proxy_url: CONNECT: "},
		{"closes", "http", 0, func(p *testkit.Conn) { p.Reader.ReadString('\n') }, "upstream.proxy_url: CONNECT: "},
		{"no TLS", "https", 0, func(p *testkit.Conn) { p.Say("hunter2\r\n\r\n") }, "upstream.proxy_url: tls: "},
		{"an endless head", "http", 0, func(p *testkit.Conn) {
			for {
				if _, err := p.Write([]byte("HTTP/1.1 200 OK\r\nX: y")); err != nil {
					return
				}
			}
		}, "upstream.proxy_url: CONNECT: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, url := startProxy(t, c.scheme, "127.0.0.1:1", nil)
			if p.refuses = c.refuses; c.handle != nil {
				url = c.scheme + "://user:hunter2@" + testkit.NewRawUpstream(t, c.handle).Addr()
			}
			to := "https://example.com"
			if strings.HasSuffix(c.name, "absolute form") {
				to = "http://example.com"
			}
			log, client := logged(t, to, through(url))
			_, err := client.Forward(request(t, client, "GET", "/", nil), nil)
			wantFailure(t, err, upstream.Connection)
			for range 2 {
				_, err := client.Poll(t.Context(), asked(t), forClient)
				if f := wantFailure(t, err, upstream.Connection); !strings.Contains(f.Error(), c.want) {
					t.Errorf("%v; want %s", f, c.want)
				}
				if strings.Contains(err.Error()+log.String(), proxyPassword) {
					t.Errorf("the password is shown: %v, %s", err, log)
				}
			}
			wantBreaker(t, client, "open") // after three
		})
	}
	_, client := logged(t, "https://example.com", through("http://user:hunter2@"+testkit.NewRawUpstream(t, (*testkit.Conn).UntilClosed).Addr()), timeout(100*time.Millisecond))
	_, err := client.Poll(t.Context(), asked(t), forClient)
	wantFailure(t, err, upstream.Timeout)
}

// TestProxiesOfTheEnvironmentAreNotRead, and whoever relies on them is told.
func TestProxiesOfTheEnvironmentAreNotRead(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "")
	}
	log, _ := logged(t, "http://127.0.0.1:1")
	if text := log.String(); text != "" {
		t.Errorf("a warning without a reason: %s", text)
	}
	s := testkit.Serve(t, http.HandlerFunc(respond(200, waiting)))
	proxy, url := startProxy(t, "http", s.Listener.Addr().String(), nil)
	t.Setenv("HTTP_PROXY", url)
	t.Setenv("all_proxy", url)
	log, c := logged(t, s.URL)
	poll(t, c, waiting)
	pass(t, c, "GET", "", waiting)
	proxy.wantAsked(t)
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"the proxy of the environment is not used; set upstream.proxy_url" variables=HTTP_PROXY,all_proxy`) || strings.Contains(text, proxyPassword) {
		t.Errorf("logged %q; want one warning", text)
	}
	t.Setenv("all_proxy", "")
	log, _ = logged(t, s.URL)
	if text := log.String(); !strings.Contains(text, "variables=HTTP_PROXY\n") {
		t.Errorf("logged %q; want a warning", text)
	}
	log, _ = logged(t, s.URL, through(url))
	if text := log.String(); text != "" {
		t.Errorf("a warning though proxy_url is set: %s", text)
	}
}
