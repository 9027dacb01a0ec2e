package upstream_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"pollbridge/upstream"
)

// relayed is what an answer to a small request holds.
type relayed struct {
	status int
	body   string
	header *fasthttp.ResponseHeader
}

// relay sends a small request and reads the whole answer.
func relay(ctx context.Context, c *upstream.Client, request upstream.Small) (relayed, error) {
	var header fasthttp.ResponseHeader
	var body upstream.RelayedBody
	if err := c.Relay(ctx, request, &header, &body); err != nil {
		return relayed{}, err
	}
	defer body.Close()
	text, err := io.ReadAll(&body)
	return relayed{header.StatusCode(), string(text), &header}, err
}

func small(method, target, body string) upstream.Small {
	s := upstream.Small{Method: method, Target: []byte(target)}
	if body != "" {
		s.Body = []byte(body)
	}
	return s
}

func wantRelay(t testing.TB, c *upstream.Client, request upstream.Small, status int, body string) {
	t.Helper()
	got, err := relay(t.Context(), c, request)
	if err != nil || got.status != status || got.body != body {
		t.Errorf("Relay %s %s = %d %.100q, %v; want %d %.100q", request.Method, request.Target, got.status, got.body, err, status, body)
	}
}

func (s *server) wantConnections(t testing.TB, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) != n {
		t.Errorf("the upstream saw %d connections; want %d", len(s.conns), n)
	}
}

func TestRelayBytes(t *testing.T) {
	s := serve(t, answering(answer(200, "fine")))
	c := newClient(t, s.url()+"/base/")
	var header []byte
	for _, field := range [][2]string{{"X-Many", "1"}, {"x-many", "2"}, {"Accept", "text/plain"}} {
		var err error
		if header, err = upstream.AppendField(header, []byte(field[0]), []byte(field[1])); err != nil {
			t.Fatal(err)
		}
	}
	host := s.listener.Addr().String()
	for i, r := range []struct {
		request upstream.Small
		want    string
	}{
		{upstream.Small{Method: "POST", Target: []byte("/a%2Fb/../c//d?x=1;y=%zz"), Header: header, Body: []byte("hello")},
			"POST /base/a%2Fb/../c//d?x=1;y=%zz HTTP/1.1\r\nHost: " + host + "\r\nX-Many: 1\r\nx-many: 2\r\nAccept: text/plain\r\nContent-Length: 5\r\n\r\nhello"},
		{upstream.Small{Method: "GET", Target: []byte("//x/y?")}, "GET /base//x/y? HTTP/1.1\r\nHost: " + host + "\r\n\r\n"},
		{upstream.Small{Method: "PUT", Target: []byte("/"), Body: []byte{}}, "PUT /base/ HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n"},
	} {
		wantRelay(t, c, r.request, 200, "fine")
		if seen := s.seen(); len(seen) != i+1 || seen[i] != r.want {
			t.Errorf("sent\n%q; want\n%q", seen, r.want)
		}
	}
	s.wantConnections(t, 1)
}

// TestRelayRefusesWhatWouldBeAnotherRequest: nothing hostile goes out in another shape.
func TestRelayRefusesWhatWouldBeAnotherRequest(t *testing.T) {
	for _, field := range [][2]string{{"", "x"}, {"A b", "x"}, {"A:", "x"}, {"A\r\nB", "x"}, {"A", "x\r\nB: y"}, {"A", "x\ny"}, {"A", "x\x00"}} {
		if _, err := upstream.AppendField(nil, []byte(field[0]), []byte(field[1])); !errors.Is(err, upstream.ErrInvalid) {
			t.Errorf("AppendField(%q, %q) = %v; want ErrInvalid", field[0], field[1], err)
		}
	}
	s := serve(t, answering(answer(200, "fine")))
	c := newClient(t, s.url(), quick, func(s *setup) { s.breaker.MinRequests = 1 })
	for _, r := range []upstream.Small{
		small("GET /x HTTP/1.1\r\nX: y", "/", ""), small("", "/", ""), small("GET ", "/", ""),
		small("GET", "/a b", ""), small("GET", "/a HTTP/1.1\r\nX: y\r\n\r\n", ""), small("GET", "/\n", ""), small("GET", "/\x00", ""),
		small("GET", "", ""), small("GET", "x", ""), small("GET", "*", ""), small("GET", "http://elsewhere/", ""),
	} {
		if _, err := relay(t.Context(), c, r); !errors.Is(err, upstream.ErrInvalid) {
			t.Errorf("Relay(%q, %q) = %v; want ErrInvalid", r.Method, r.Target, err)
		}
	}
	wantBreaker(t, c, "closed")
	s.wantSeen(t, 0)
}

// TestRelayedAnswers: the connection is used again after each answer whose end is
// certain, and after no other.
func TestRelayedAnswers(t *testing.T) {
	large := strings.Repeat("x", 200<<10)
	for _, c := range []struct {
		name, method, text string
		status             int
		body               string
		again              bool
	}{
		{"with a length", "GET", answer(200, "fine"), 200, "fine", true},
		{"an empty one", "GET", answer(200, ""), 200, "", true},
		{"a large one", "GET", answer(200, large), 200, large, true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2;x=y\r\nne\r\n0\r\n\r\n", 200, "fine", true},
		{"chunked with trailers", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n4\r\nfine\r\n0\r\nX-T: 1\r\n\r\n", 200, "fine", true},
		{"no content", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
		{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, "", true},
		{"to a HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 200, "", true},
		{"early hints before it", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(200, "fine"), 200, "fine", true},
		{"that says close", "GET", answer(200, "fine", "Connection: close"), 200, "fine", false},
		{"with surplus", "GET", answer(200, "fine") + surplus, 200, "fine", false},
		{"to a HEAD, with a body", "HEAD", answer(200, "fine"), 200, "", false},
		{"no content, with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nfine", 204, "", false},
		{"of HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", 200, "fine", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, answering(c.text))
			client := newClient(t, s.url())
			for range 3 {
				wantRelay(t, client, small(c.method, "/", ""), c.status, c.body)
			}
			s.wantConnections(t, map[bool]int{true: 1, false: 3}[c.again])
		})
	}
}

func TestRelayedUntilTheConnectionEnds(t *testing.T) {
	s := serve(t, func(p *peer) {
		if _, ok := p.request(); ok {
			p.say("HTTP/1.1 200 OK\r\n\r\nfine")
		}
	})
	c := newClient(t, s.url())
	for range 3 {
		wantRelay(t, c, small("GET", "/", ""), 200, "fine")
	}
	s.wantConnections(t, 3)
}

// TestRelayedProtocolSwitch: what comes on such a connection is no HTTP any more.
func TestRelayedProtocolSwitch(t *testing.T) {
	s := serve(t, func(p *peer) {
		if _, ok := p.request(); ok && p.number == 1 {
			p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			p.untilClosed()
			return
		}
		p.say(answer(200, "fine"))
	})
	c := newClient(t, s.url())
	relay(t.Context(), c, small("GET", "/", ""))
	wantRelay(t, c, small("GET", "/", ""), 200, "fine")
	s.wantConnections(t, 2)
}

func TestRelayKeepsTheAnswer(t *testing.T) {
	s := serve(t, answering(answer(418, "short and stout", "X-A: 1", "X-A: 2", "Content-Encoding: gzip", "Set-Cookie: a=b", "Set-Cookie: c=d", "Location: /elsewhere")))
	got, err := relay(t.Context(), newClient(t, s.url()), small("GET", "/", ""))
	if err != nil || got.status != 418 || got.body != "short and stout" {
		t.Fatalf("Relay = %+v, %v", got, err)
	}
	header := map[string]int{}
	for name, value := range got.header.All() {
		header[string(name)+": "+string(value)]++
	}
	for _, line := range []string{"X-A: 1", "X-A: 2", "Content-Encoding: gzip", "Set-Cookie: a=b", "Set-Cookie: c=d", "Location: /elsewhere"} {
		if header[line] != 1 {
			t.Errorf("%s is there %d times in %v; want once", line, header[line], header)
		}
	}
	if len(got.header.ContentType()) > 0 {
		t.Errorf("the content type %s was invented", got.header.ContentType())
	}
}

// TestRelayIsNeverRepeated: it may start a signing.
func TestRelayIsNeverRepeated(t *testing.T) {
	for _, end := range []struct {
		name  string
		close func(*peer)
	}{{"closed", func(*peer) {}}, {"reset", (*peer).reset}} {
		t.Run(end.name, func(t *testing.T) {
			s := serve(t, func(p *peer) {
				p.request()
				p.say(answer(200, "first"))
				p.request()
				end.close(p)
			})
			c := newClient(t, s.url())
			wantRelay(t, c, small("GET", "/", ""), 200, "first")
			_, err := relay(t.Context(), c, small("POST", "/start", "{}"))
			wantFailure(t, err, upstream.Connection)
			s.wantSeen(t, 2)
		})
	}
}

// TestRelayNoticesIdleCloses: a connection that was closed before is not used.
func TestRelayNoticesIdleCloses(t *testing.T) {
	closed := make(chan struct{}, 100)
	s := serve(t, func(p *peer) {
		p.request()
		p.say(answer(200, "fine"))
		p.Close()
		closed <- struct{}{}
	})
	c := newClient(t, s.url())
	for range 20 {
		if wantRelay(t, c, small("POST", "/", "{}"), 200, "fine"); t.Failed() {
			return
		}
		<-closed
	}
	s.wantSeen(t, 20)
}

// TestRelaySurplus is promise 3 for what passes through.
func TestRelaySurplus(t *testing.T) {
	certificates, ca := certificate(t)
	for _, secure := range []bool{false, true} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("TLS %t, late %t", secure, late), func(t *testing.T) {
				read, said := make(chan struct{}, 100), make(chan struct{}, 100)
				s := serve(t, func(p *peer) {
					raw := &corked{Conn: p.Conn, open: true}
					conn := io.ReadWriter(raw)
					if secure {
						conn = tls.Server(raw, &tls.Config{Certificates: certificates})
					}
					p.read.Reset(conn)
					for {
						if _, ok := p.request(); !ok {
							return
						}
						raw.open = late
						io.WriteString(conn, answer(200, "mine"))
						if late {
							<-read
						}
						io.WriteString(conn, surplus)
						raw.open = true
						raw.held.WriteTo(p.Conn)
						said <- struct{}{}
					}
				})
				url := s.url()
				if secure {
					url = strings.Replace(url, "http", "https", 1)
				}
				c := newClient(t, url, func(s *setup) {
					if secure {
						s.CAFile = ca
					}
				})
				for range 5 {
					wantRelay(t, c, small("GET", "/", ""), 200, "mine")
					read <- struct{}{}
					if t.Failed() {
						return
					}
					<-said
				}
				s.wantSeen(t, 5)
			})
		}
	}
}

func TestRelayFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle func(*peer)
	}{
		{"reset", func(p *peer) { p.request(); p.reset() }},
		{"closed without an answer", func(p *peer) { p.request() }},
		{"half a head", func(p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\nContent-") }},
		{"garbage", func(p *peer) { p.request(); p.say("what is this?\r\n\r\n") }},
		{"two lengths", func(p *peer) {
			p.request()
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
		}},
		{"an endless head", func(p *peer) {
			p.request()
			p.say("HTTP/1.1 200 OK\r\n")
			for range 100_000 {
				if _, err := p.Write([]byte("X-Filler: " + strings.Repeat("x", 1000) + "\r\n")); err != nil {
					return
				}
			}
		}},
		{"endless early hints", func(p *peer) {
			p.request()
			for range 100_000 {
				if _, err := p.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n")); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.handle)
			client := newClient(t, s.url(), quick, func(s *setup) { s.breaker.MinRequests = 1; s.MaxInflight = 1 })
			_, err := relay(t.Context(), client, small("POST", "/"+token, credential))
			wantFailure(t, err, upstream.Connection)
			wantBreaker(t, client, "open")
		})
	}
	s := serve(t, func(*peer) {})
	s.listener.Close()
	_, err := relay(t.Context(), newClient(t, s.url()), small("GET", "/", ""))
	wantFailure(t, err, upstream.Connection)
}

// TestRelayedBodyThatBreaksOff must not look whole, nor leave its connection to the
// next request.
func TestRelayedBodyThatBreaksOff(t *testing.T) {
	for _, head := range []string{"Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", "Transfer-Encoding: chunked\r\n\r\nzz\r\nhalf"} {
		for _, reset := range []bool{false, true} {
			s := serve(t, func(p *peer) {
				p.request()
				if p.number > 1 {
					p.say(answer(200, "fine"))
					return
				}
				p.say("HTTP/1.1 200 OK\r\n" + head)
				if reset {
					p.reset()
				}
			})
			c := newClient(t, s.url())
			if got, err := relay(t.Context(), c, small("GET", "/", "")); err == nil {
				t.Errorf("%q: read %q without an error", head, got.body)
			}
			wantRelay(t, c, small("GET", "/", ""), 200, "fine")
		}
	}
}

// TestRelayedBodyThatIsNotRead: what is left of it is nobody else's answer.
func TestRelayedBodyThatIsNotRead(t *testing.T) {
	n := 0
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		respond(200, strings.Repeat(fmt.Sprint(n), 100<<10))(w, r)
	}))
	c := newClient(t, s.URL)
	for i := 1; i <= 5; i++ {
		var header fasthttp.ResponseHeader
		var body upstream.RelayedBody
		if err := c.Relay(t.Context(), small("GET", "/", ""), &header, &body); err != nil {
			t.Fatal(err)
		}
		some := make([]byte, 10)
		if _, err := io.ReadFull(&body, some); err != nil || string(some) != strings.Repeat(fmt.Sprint(i), 10) {
			t.Errorf("answer %d begins with %q, %v", i, some, err)
		}
		for range 2 {
			body.Close()
		}
	}
}

func TestRelayEndsWithItsClient(t *testing.T) {
	for _, answered := range []bool{false, true} {
		t.Run(fmt.Sprintf("answer begun %t", answered), func(t *testing.T) {
			reached, noticed := make(chan struct{}), make(chan struct{})
			s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if answered {
					w.Write([]byte("begun"))
					w.(http.Flusher).Flush()
				}
				close(reached)
				<-r.Context().Done()
				close(noticed)
			}))
			c := newClient(t, s.URL, quick, func(s *setup) { s.breaker.MinRequests = 1; s.MaxInflight = 1 })
			ctx, leave := context.WithCancelCause(t.Context())
			go func() {
				<-reached
				leave(errGone)
			}()
			if _, err := relay(ctx, c, small("GET", "/", "")); err == nil || !answered && err != errGone {
				t.Errorf("Relay = %v; want the client's cause", err)
			}
			<-noticed
			wantBreaker(t, c, "closed")
		})
	}
}

// TestRelayGivesItsSlotBack, whatever becomes of it.
func TestRelayGivesItsSlotBack(t *testing.T) {
	f := newFlaky()
	c := newClient(t, start(t, f).URL, func(s *setup) { s.MaxInflight = 1 })
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 3 {
		f.set(respond(200, "fine"))
		wantRelay(t, c, small("GET", "/", ""), 200, "fine")
		f.set(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		if _, err := relay(t.Context(), c, small("GET", "/", "")); err == nil {
			t.Error("Relay worked though the upstream hung up")
		}
		relay(gone, c, small("GET", "/", ""))
		relay(t.Context(), c, small("", "", ""))
	}
	f.set(respond(200, waiting))
	poll(t, c, waiting)
}

// TestRelaysAtTheSameTime: each gets its own answer, whatever connection it came on.
func TestRelaysAtTheSameTime(t *testing.T) {
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		respond(200, strings.Repeat(string(text)+" ", 1+len(text)*300))(w, r)
	}))
	c := newClient(t, s.URL)
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			for j := range 50 {
				text := strings.Repeat(fmt.Sprint("r", i), 1+j%7)
				if j%10 == 9 { // one that leaves midway
					short, cancel := context.WithTimeout(ctx, time.Duration(j)*20*time.Microsecond)
					relay(short, c, small("POST", "/", text))
					cancel()
					continue
				}
				wantRelay(t, c, small("POST", "/", text), 200, strings.Repeat(text+" ", 1+len(text)*300))
			}
		})
	}
	clients.Wait()
}

func TestRelayIsCounted(t *testing.T) {
	f := newFlaky()
	var own setup
	c := newClient(t, start(t, f).URL, quick, func(s *setup) { s.breaker.OpenFor = time.Hour; own = *s })
	for _, status := range []int{200, 204, 404, 500, 503, 503, 503, 503, 503} {
		f.set(respond(status, ""))
		relay(t.Context(), c, small("GET", "/"+token, ""))
	}
	wantBreaker(t, c, "open")
	got := counted(t, own.registry)
	for class, n := range map[string]float64{"2xx": 2, "4xx": 1, "circuit_open": 1} {
		if name := "upstream_requests_total{passthrough," + class + "}"; got[name] != n {
			t.Errorf("%s = %v; want %v", name, got[name], n)
		}
	}
	for name := range got {
		if strings.Contains(name, token) {
			t.Errorf("a label shows a path: %s", name)
		}
	}
}

// TestGoodbyeWithTheAnswer: the upstream closes with the answer, in the same segment, and
// TLS 1.2 shows that before anybody asks. The connection is not used again.
func TestGoodbyeWithTheAnswer(t *testing.T) {
	certificates, ca := certificate(t)
	s := serve(t, func(p *peer) {
		below := &corked{Conn: p.Conn, open: true}
		secure := tls.Server(below, &tls.Config{Certificates: certificates, MaxVersion: tls.VersionTLS12})
		p.read.Reset(secure)
		if _, ok := p.request(); !ok {
			return
		}
		below.open = false
		secure.Write([]byte(answer(200, "fine")))
		secure.CloseWrite()
		p.Conn.SetWriteDeadline(time.Time{})
		below.open = true
		below.held.WriteTo(p.Conn)
	})
	client := newClient(t, strings.Replace(s.url(), "http", "https", 1), func(s *setup) { s.CAFile = ca })
	for range 3 {
		wantRelay(t, client, small("GET", "/", ""), 200, "fine")
	}
	s.wantSeen(t, 3)
}
