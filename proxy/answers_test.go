package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
	"pollbridge/proxy"
	"pollbridge/session"

	"github.com/prometheus/client_golang/prometheus"
)

// TestLeavingEndsNobodyElsesRequest, at whatever moment a client leaves.
func TestLeavingEndsNobodyElsesRequest(t *testing.T) {
	t.Parallel()
	var waiting atomic.Int64
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/silent") {
			waiting.Add(1)
			defer waiting.Add(-1)
			untilGone(t, r)
			return
		}
		testkit.Respond(w, 200, r.URL.Path+" "+r.Header.Get("X-Request-Id"))
	}))
	var leaving, asking sync.WaitGroup
	var over atomic.Bool
	for i := range 4 {
		leaving.Go(func() {
			for j := range 40 {
				conn := b.Dial()
				if j%2 == 0 {
					io.WriteString(conn, "GET /answered HTTP/1.1\r\nHost: h\r\n\r\n")
					conn.Read(make([]byte, 1))
				}
				io.WriteString(conn, "GET /silent HTTP/1.1\r\nHost: h\r\n\r\n")
				conn.Close()
			}
		})
		asking.Go(func() {
			for j := 0; !over.Load(); j++ {
				path, id := fmt.Sprintf("/%d/%d", i, j), fmt.Sprintf("id-%d-%d", i, j)
				a := testkit.Do(t, "GET", b.URL+path, "", "X-Request-Id: "+id)
				if a.Status != 200 || a.Body != path+" "+id || a.Header.Get("X-Request-Id") != id {
					t.Errorf("GET %s was answered %d %q with the id %q; want 200, the path and %q", path, a.Status, a.Body, a.Header.Get("X-Request-Id"), id)
				}
			}
		})
	}
	leaving.Wait()
	testkit.Eventually(t, "the upstream is told of all that left", func() bool { return waiting.Load() == 0 })
	over.Store(true)
	asking.Wait()
}

// saying is an upstream that answers each connection with the same bytes and hangs up.
func saying(t testing.TB, answer string) (url string) {
	return testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		for line, err := conn.Reader.ReadString('\n'); err == nil && line != "\r\n"; line, err = conn.Reader.ReadString('\n') {
		}
		conn.Say(answer)
	}).URL
}

// TestHeadsAreOurs: whatever version and words the upstream uses, and however its body
// ends, the head that clients get is one of this server.
func TestHeadsAreOurs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ answer, line, body string }{
		{"HTTP/1.0 200 Fine\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 200 OK", "body"},
		{"HTTP/1.0 200 Fine\r\nX: y\r\n\r\nuntil the end", "HTTP/1.1 200 OK", "until the end"},
		{"HTTP/1.1 404 Nobody Home\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 404 Not Found", "body"},
		{"HTTP/1.1 299 Hm\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n4\r\nbody\r\n0\r\nX-T: t\r\n\r\n", "HTTP/1.1 299 Unknown Status Code", "body"},
		{"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: x\r\nKeep-Alive: 5\r\n\r\nuntil the end", "HTTP/1.1 200 OK", "until the end"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 200 OK", "body"},
		{"HTTP/1.1 204 Nothing\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 204 No Content", ""},
		{"HTTP/1.1 304 Same\r\nContent-Length: 4\r\nETag: x\r\n\r\n", "HTTP/1.1 304 Not Modified", ""},
	} {
		b := bridge.Start(t, saying(t, c.answer))
		for range 2 {
			conn := b.Dial()
			io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			whole, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(whole)), nil)
			if err != nil {
				t.Fatalf("%.30q: %v in %q", c.answer, err, whole)
			}
			body, err := io.ReadAll(response.Body)
			if line, _, _ := strings.Cut(string(whole), "\r\n"); line != c.line || string(body) != c.body || err != nil {
				t.Errorf("%.30q: answered %q with %q, %v; want %q with %q", c.answer, line, body, err, c.line, c.body)
			}
			for _, name := range []string{"X-Hop", "Keep-Alive", "Link", "Trailer", "X-T"} {
				if got := response.Header.Values(name); got != nil {
					t.Errorf("%.30q: the client got %s: %q", c.answer, name, got)
				}
			}
			if via := response.Header.Values("Via"); len(via) != 1 {
				t.Errorf("%.30q: Via is %q; want one", c.answer, via)
			}
		}
	}
}

// TestErrorsHaveNothingOfTheAnswer: an answer of which the head arrived, and then not
// the body, is replaced by an error that has none of its fields.
func TestErrorsHaveNothingOfTheAnswer(t *testing.T) {
	t.Parallel()
	b := bridge.Start(t, saying(t, "HTTP/1.1 200 Fine\r\nServer: theirs\r\nContent-Type: text/html\r\nContent-Encoding: br\r\nSet-Cookie: a=b\r\n"+
		"Cache-Control: public\r\nX-Request-Id: theirs\r\nTrailer: X-T\r\nX-T: t\r\nContent-Length: 100\r\n\r\nonly a part"))
	a := testkit.Do(t, "GET", b.URL+"/x", "", "X-Request-Id: mine")
	if a.Status != 502 || !strings.Contains(a.Body, `"error_code":50002`) {
		t.Errorf("answered %d %q; want 502 and an error", a.Status, a.Body)
	}
	want := map[string]string{"Content-Type": "application/json", "X-Request-Id": "mine", "Cache-Control": "no-store"}
	for name := range a.Header {
		switch name {
		case "Date", "Content-Length":
		default:
			if got := a.Header.Get(name); got != want[name] {
				t.Errorf("the error has %s: %q; want %q", name, got, want[name])
			}
		}
	}
}

// failing is an upstream client that panics after the head of an answer, and tells that this
// was closed.
type failing struct{ closed chan struct{} }

func (failing) URL(string) (*url.URL, error) { return &url.URL{Host: "h"}, nil }

func (f failing) Forward(*http.Request, func(code int, header http.Header)) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, ContentLength: 4, Body: failingBody{f.closed},
		Header: http.Header{"Set-Cookie": {"a=b"}, "Cache-Control": {"max-age=600"}, "Content-Encoding": {"gzip"}},
	}, nil
}

type failingBody struct{ closed chan<- struct{} }

func (failingBody) Read([]byte) (int, error) { panic("what never happens") }

func (b failingBody) Close() error {
	select {
	case b.closed <- struct{}{}:
	default:
	}
	return nil
}

// TestPanicsHaveNothingOfTheAnswer, either.
func TestPanicsHaveNothingOfTheAnswer(t *testing.T) {
	t.Parallel()
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	testkit.NoError(t, err)
	closed := make(chan struct{}, 1)
	server, err := proxy.New(proxy.DefaultConfig(), proxy.Options{
		Table: table, Upstream: failing{closed}, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	testkit.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	a := testkit.Do(t, "GET", "http://"+ln.Addr().String()+"/x", "", "X-Request-Id: mine")
	if a.Status != 500 || a.Header.Get("X-Request-Id") != "mine" {
		t.Errorf("answered %d with the id %q; want 500 with mine", a.Status, a.Header.Get("X-Request-Id"))
	}
	select {
	case <-closed:
	default:
		t.Error("the upstream's answer is still open")
	}
	for name, want := range map[string]string{"Set-Cookie": "", "Cache-Control": "no-store", "Content-Encoding": ""} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("the error has %s: %q", name, got)
		}
	}
	testkit.NoError(t, server.Shutdown(t.Context()))
	testkit.NoError(t, <-served)
}

// TestHeadKeepsItsLength, which is that of the answer to a GET.
func TestHeadKeepsItsLength(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"200 OK", "304 Not Modified", "404 Not Found"} {
		b := bridge.Start(t, saying(t, "HTTP/1.1 "+line+"\r\nContent-Length: 77\r\n\r\n"))
		conn := b.Dial()
		io.WriteString(conn, "HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		whole, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(whole), "HTTP/1.1 "+line+"\r\n") || !strings.Contains(string(whole), "\r\nContent-Length: 77\r\n") {
			t.Errorf("HEAD was answered %q, %v; want %s with a length of 77", whole, err, line)
		}
	}
}
