package upstream_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pollbridge/internal/testkit"
	"pollbridge/upstream"
)

// pass sends a request, with a body if that is not empty, and wants this answer.
func pass(t testing.TB, c *upstream.Client, method, sent, want string) {
	t.Helper()
	r := request(t, c, method, "/", nil)
	if sent != "" {
		r.Body, r.ContentLength = body(sent), int64(len(sent))
	}
	response, err := c.Forward(r, nil)
	if err != nil {
		t.Errorf("Forward %s = %v; want %s", method, err, want)
		return
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != want {
		t.Errorf("Forward %s = %q, %v; want %s", method, got, err, want)
	}
}

func wantConnections(t testing.TB, u *testkit.RawUpstream, n int) {
	t.Helper()
	if got := u.Connections(); got != n {
		t.Errorf("the upstream saw %d connections; want %d", got, n)
	}
}

// TestForwardUsesConnectionsAgain: looking at them must not cost them. On a busy machine
// net/http gives some up, as it waits for its own writer for 50 ms only.
func TestForwardUsesConnectionsAgain(t *testing.T) {
	certificates, ca := certificate(t)
	for _, scheme := range []string{"http", "https"} {
		s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
			if scheme == "https" {
				p.StartTLS(&tls.Config{Certificates: certificates})
			}
			answering(answer(200, "fine"))(p)
		})
		c := newClient(t, strings.Replace(s.URL, "http", scheme, 1), func(s *setup) { s.CAFile = ca })
		for range 20 {
			pass(t, c, "GET", "", "fine")
			pass(t, c, "POST", "{}", "fine")
		}
		if n := s.Connections(); n > 10 {
			t.Errorf("%s: 40 requests took %d connections; want hardly more than 1", scheme, n)
		}
	}
}

// TestForwardAfterAnIdleClose: nothing was sent on a connection that the upstream has
// closed meanwhile, so another one serves, also for what must not be sent twice.
func TestForwardAfterAnIdleClose(t *testing.T) {
	closed := make(chan struct{}, 1)
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		if _, ok := p.ReadRequest(); ok {
			p.Say(answer(200, "fine"))
			p.Close()
			closed <- struct{}{}
		}
	})
	c := newClient(t, s.URL)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		for _, sent := range []string{"", "{}"} {
			for range 20 {
				if pass(t, c, method, sent, "fine"); t.Failed() {
					t.Fatal(method, sent)
				}
				<-closed
			}
		}
	}
	wantSeen(t, s, 120)
}

// TestForwardWhileTheUpstreamCloses: whoever may have been heard is not sent again.
func TestForwardWhileTheUpstreamCloses(t *testing.T) {
	for _, c := range []struct {
		method, sent string
		twice        bool
	}{{"GET", "", true}, {"HEAD", "", true}, {"GET", "{}", false}, {"POST", "", false}, {"POST", "{}", false}, {"DELETE", "", false}} {
		for !forwardWhileTheUpstreamCloses(t, c.method, c.sent, c.twice) {
			t.Log(c.method, "again: net/http did not use the connection again")
		}
	}
}

func forwardWhileTheUpstreamCloses(t *testing.T, method, sent string, twice bool) (usedAgain bool) {
	var again atomic.Bool
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		p.ReadRequest()
		p.Say(answer(200, ""))
		if p.Number == 1 {
			_, ok := p.ReadRequest() // read, and maybe acted on
			again.Store(ok)
			return
		}
		answering(answer(200, ""))(p)
	})
	client := newClient(t, s.URL)
	pass(t, client, "GET", "", "")
	r := request(t, client, method, "/", nil)
	if sent != "" {
		r.Body, r.ContentLength = body(sent), int64(len(sent))
	}
	r.Header.Set("Idempotency-Key", "1")
	response, err := client.Forward(r, nil)
	if err == nil {
		response.Body.Close()
	}
	if !again.Load() {
		return false
	}
	if (err == nil) != twice {
		t.Errorf("%s %s: Forward = %v; want an answer: %v", method, sent, err, twice)
	}
	if seen := s.Requests(); len(seen) != map[bool]int{true: 3, false: 2}[twice] || !strings.Contains(seen[1], "\nIdempotency-Key: 1\r") {
		t.Errorf("%s %s: the upstream saw %q", method, sent, seen)
	}
	return true
}

// TestForwardedSurplus: what comes beyond the end of an answer is nobody's, however soon
// the next request follows.
func TestForwardedSurplus(t *testing.T) {
	certificates, ca := certificate(t)
	long := surplus + strings.Repeat(" ", 16000)
	for scheme, handle := range map[string]func(*testkit.Conn){
		"http": answering(answer(200, "fine") + surplus),
		"https": func(p *testkit.Conn) { // all at once, but in another record, so that TLS holds it back
			below := &corked{Conn: p.Conn, open: true}
			secure := tls.Server(below, &tls.Config{Certificates: certificates, DynamicRecordSizingDisabled: true})
			p.Reader.Reset(secure)
			for {
				if _, ok := p.ReadRequest(); !ok {
					return
				}
				below.open = false
				secure.Write([]byte(answer(200, "fine")))
				secure.Write([]byte(long))
				below.open = true
				below.held.WriteTo(p.Conn)
			}
		},
	} {
		t.Run(scheme, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, handle)
			c := newClient(t, strings.Replace(s.URL, "http", scheme, 1), func(s *setup) { s.CAFile = ca })
			requests := map[string]int{"http": 500, "https": 100}[scheme]
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range requests {
						if pass(t, c, "GET", "", "fine"); t.Failed() {
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestEarlyAnswers come through, though the upstream closes the connection while the
// request is still being sent.
func TestEarlyAnswers(t *testing.T) {
	for name, leave := range map[string]func(*testkit.Conn){
		"closes":          func(*testkit.Conn) {}, // with bytes unread, which resets it
		"sends, and ends": func(p *testkit.Conn) { p.CloseWrite(); p.UntilClosed() },
		"goes on reading": func(p *testkit.Conn) { p.UntilClosed() },
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
				p.Reader.ReadString('\n')
				p.Say(answer(413, "too large", "Connection: close"))
				leave(p)
			})
			c := newClient(t, s.URL)
			for range 20 {
				r := request(t, c, "POST", "/", io.NopCloser(io.LimitReader(endless{}, 8<<20)))
				response, err := c.Forward(r, nil)
				if err != nil {
					t.Fatalf("Forward = %v; want 413", err)
				}
				text, err := io.ReadAll(response.Body)
				if response.StatusCode != 413 || string(text) != "too large" || err != nil {
					t.Errorf("Forward = %d %q, %v; want 413", response.StatusCode, text, err)
				}
				response.Body.Close()
			}
		})
	}
}

// endless is a body of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestInterimAnswers are told to whoever wants to know.
func TestInterimAnswers(t *testing.T) {
	s := testkit.NewRawUpstream(t, answering("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+answer(200, "fine")))
	c := newClient(t, s.URL)
	var told []string
	response, err := c.Forward(request(t, c, "GET", "/", nil), func(code int, header http.Header) {
		told = append(told, fmt.Sprint(code, header.Get("Link")))
	})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if want := []string{"102", "103</a>"}; response.StatusCode != 200 || !slices.Equal(told, want) {
		t.Errorf("%d after %q; want 200 after %q", response.StatusCode, told, want)
	}
}

// startHTTP2 starts a server that speaks HTTP/2, too.
func startHTTP2(t *testing.T, handler http.Handler) (url, caFile string) {
	t.Helper()
	certificates, ca := certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: certificates}}
	var work sync.WaitGroup
	work.Go(func() { server.ServeTLS(listener, "", "") })
	t.Cleanup(func() { server.Close(); work.Wait() })
	return "https://" + listener.Addr().String(), ca
}

func TestForwardSpeaksHTTP2(t *testing.T) {
	url, ca := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Saw", fmt.Sprintf("%s %s %s %s", r.Proto, r.Method, r.RequestURI, text))
	}))
	c := newClient(t, url+"/base", func(s *setup) { s.CAFile = ca })
	for range 3 {
		r := request(t, c, "POST", "/a%2Fb/../c//d?x=1;y=%zz", body("hello"))
		response, err := c.Forward(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got, want := response.Header.Get("X-Saw"), "HTTP/2.0 POST /base/a%2Fb/../c//d?x=1;y=%zz hello"; got != want {
			t.Errorf("the upstream saw %s; want %s", got, want)
		}
	}
}

// TestHTTP2IsNeverRepeated, whatever reason a stream is refused for.
func TestHTTP2IsNeverRepeated(t *testing.T) {
	for _, code := range []http2.ErrCode{http2.ErrCodeProtocol, http2.ErrCodeRefusedStream, http2.ErrCodeInternal} {
		for _, method := range []string{"POST", "DELETE"} {
			t.Run(code.String()+method, func(t *testing.T) {
				certificates, ca := certificate(t)
				seen := make(chan struct{}, 100)
				s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
					secure := tls.Server(p.Conn, &tls.Config{Certificates: certificates, NextProtos: []string{"h2"}})
					io.ReadFull(secure, make([]byte, len(http2.ClientPreface)))
					framer := http2.NewFramer(secure, secure)
					framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
					framer.WriteSettings()
					for {
						frame, err := framer.ReadFrame()
						if err != nil {
							return
						}
						if head, ok := frame.(*http2.MetaHeadersFrame); ok {
							seen <- struct{}{}
							framer.WriteRSTStream(head.StreamID, code)
						}
					}
				})
				c := newClient(t, strings.Replace(s.URL, "http", "https", 1), func(s *setup) { s.CAFile = ca })
				_, err := c.Forward(request(t, c, method, "/", nil), nil)
				if f := wantFailure(t, err, upstream.Connection); f.NotSent() {
					t.Error("the failure says that nothing was sent")
				}
				if len(seen) != 1 {
					t.Errorf("the upstream saw it %d times; want once", len(seen))
				}
			})
		}
	}
}

func TestForwardAfterItsClientHasLeft(t *testing.T) {
	c := newClient(t, testkit.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).URL)
	ctx, leave := context.WithCancelCause(t.Context())
	leave(errGone)
	if _, err := c.Forward(request(t, c, "GET", "/", nil).WithContext(ctx), nil); err != errGone {
		t.Errorf("Forward = %v; want the client's cause", err)
	}
}
