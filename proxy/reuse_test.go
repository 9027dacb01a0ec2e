package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestLeavingEndsNobodyElsesRequest: what a request needs is used again by others, also
// when its client has left at whatever moment.
func TestLeavingEndsNobodyElsesRequest(t *testing.T) {
	t.Parallel()
	var waiting atomic.Int64
	b := serve(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/silent") {
			waiting.Add(1)
			defer waiting.Add(-1)
			untilGone(t, r)
			return
		}
		respond(w, 200, r.URL.Path+" "+r.Header.Get("X-Request-Id"))
	}))
	var leaving, asking sync.WaitGroup
	var over atomic.Bool
	for i := range 4 {
		leaving.Go(func() {
			for j := range 40 {
				conn := b.dial()
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
				a := do(t, "GET", b.url+path, "", "X-Request-Id: "+id)
				if a.status != 200 || a.body != path+" "+id || a.header.Get("X-Request-Id") != id {
					t.Errorf("GET %s was answered %d %q with the id %q; want 200, the path and %q", path, a.status, a.body, a.header.Get("X-Request-Id"), id)
				}
			}
		})
	}
	leaving.Wait()
	eventually(t, "the upstream is told of all that left", func() bool { return waiting.Load() == 0 })
	over.Store(true)
	asking.Wait()
}

// TestErrorsHaveNothingOfTheAnswer: an answer of which the head arrived, and then not
// the body, is replaced by an error that has none of its fields.
func TestErrorsHaveNothingOfTheAnswer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.1 200 Fine\r\nServer: theirs\r\nContent-Type: text/html\r\nContent-Encoding: br\r\nSet-Cookie: a=b\r\n"+
				"Cache-Control: public\r\nX-Request-Id: theirs\r\nTrailer: X-T\r\nX-T: t\r\nContent-Length: 100\r\n\r\nonly a part")
			conn.Close()
		}
	}()
	b := serve(t, "http://"+ln.Addr().String())
	a := do(t, "GET", b.url+"/x", "", "X-Request-Id: mine")
	if a.status != 502 || !strings.Contains(a.body, `"error_code":50002`) {
		t.Errorf("answered %d %q; want 502 and an error", a.status, a.body)
	}
	want := map[string]string{"Content-Type": "application/json", "X-Request-Id": "mine"}
	for name := range a.header {
		switch name {
		case "Date", "Content-Length":
		default:
			if got := a.header.Get(name); got != want[name] {
				t.Errorf("the error has %s: %q; want %q", name, got, want[name])
			}
		}
	}
}
