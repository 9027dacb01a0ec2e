package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/upstream"
)

var errGone = errors.New("the client left")

// request makes a request for Forward, as the proxy does.
func request(t testing.TB, c *upstream.Client, method, target string, body io.ReadCloser) *http.Request {
	t.Helper()
	u, err := c.URL(target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: method, URL: u, Host: "front.example", Header: http.Header{"User-Agent": {""}}, Body: body, ContentLength: -1}
	if body == nil {
		r.ContentLength = 0
	}
	return r.WithContext(t.Context())
}

// body makes a request body.
func body(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

func TestTargetsAreKeptByteForByte(t *testing.T) {
	for _, base := range []string{"", "/", "/base/v2", "/base%2Fv2/"} {
		s := testkit.NewRawUpstream(t, answering(answer(200, "fine")))
		c := newClient(t, s.URL+base)
		for i, target := range []string{
			"/", "/a%2Fb/../c//d?x=1;y=%zz", "//x/y", "//x/y?z", "///", "/./..", "/%", "/%zz", "/a?", "//a?", "/a?b?c", "/a?%", "/a;b=c", `/a"b<c>|{}\^` + "`", "/ąž", "/a%00b", "/*", "/a:b@c", "/a+b",
			"/en/smartid/sign/status/tok.json", "/a?" + strings.Repeat("x", 5000),
		} {
			response, err := c.Forward(request(t, c, "GET", target, nil), nil)
			if err != nil {
				t.Errorf("Forward %s = %v", target, err)
				continue
			}
			response.Body.Close()
			line, _, _ := strings.Cut(s.Requests()[i], "\r\n")
			if want := "GET " + strings.TrimSuffix(base, "/") + target + " HTTP/1.1"; line != want {
				t.Errorf("sent\n%s; want\n%s", line, want)
			}
		}
	}
}

// TestTwoSlashesThatCannotBeKept: what would go out in another shape does not go out.
func TestTwoSlashesThatCannotBeKept(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	for _, path := range []string{"//x/%zz", "//x/a|b", `//x/"`, "//x/ą", "//x y"} {
		if u, err := c.URL(path); err == nil && u.RequestURI() != path {
			t.Errorf("URL(%s) would be sent as %s; want an error", path, u.RequestURI())
		}
	}
}

func TestForwardKeepsTheRequestAndTheAnswer(t *testing.T) {
	s := testkit.NewRawUpstream(t, answering(answer(418, "short and stout", "X-A: 1", "X-A: 2", "Content-Encoding: gzip", "Location: /elsewhere", "Set-Cookie: a=b")))
	c := newClient(t, s.URL)
	r := request(t, c, "PATCH", "/x", body("hello"))
	r.ContentLength = 5
	r.Header.Set("Accept", "text/plain")
	r.Header["X-Many"] = []string{"1", "2"}
	response, err := c.Forward(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || string(text) != "short and stout" || response.StatusCode != 418 || len(response.Header["X-A"]) != 2 || response.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("answer: %d %v %q, %v", response.StatusCode, response.Header, text, err)
	}
	sent := s.Requests()[0]
	want := "PATCH /x HTTP/1.1\r\nHost: front.example\r\nContent-Length: 5\r\nAccept: text/plain\r\nX-Many: 1\r\nX-Many: 2\r\n\r\nhello"
	if sent != want {
		t.Errorf("sent\n%q; want\n%q", sent, want)
	}
}

// TestForwardStreams goes through 30 MB in steps: no side sends the next megabyte
// before the other has had the last one, so none of it is held back on the way.
func TestForwardStreams(t *testing.T) {
	const pieces = 30
	piece := bytes.Repeat([]byte("x"), 1<<20)
	arrived := make(chan int)
	s := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range pieces {
			if _, err := io.CopyN(io.Discard, r.Body, int64(len(piece))); err != nil {
				t.Errorf("the upstream read: %v", err)
				return
			}
			arrived <- i
		}
		io.Copy(io.Discard, r.Body)
		for range pieces {
			if _, err := w.Write(piece); err != nil {
				t.Errorf("the upstream wrote: %v", err)
				return
			}
			w.(http.Flusher).Flush()
			<-arrived
		}
	}))
	c := newClient(t, s.URL)
	reader, writer := io.Pipe()
	var upload sync.WaitGroup
	upload.Go(func() {
		defer writer.Close()
		for i := range pieces {
			if _, err := writer.Write(piece); err != nil {
				t.Errorf("piece %d: %v", i, err)
				return
			}
			if got := <-arrived; got != i {
				t.Errorf("piece %d arrived; want %d", got, i)
			}
		}
	})
	response, err := c.Forward(request(t, c, "POST", "/", reader), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for i := range pieces {
		if _, err := io.CopyN(io.Discard, response.Body, int64(len(piece))); err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
		arrived <- i
	}
	upload.Wait()
}

// TestForwardIsNeverRepeated: it may start a signing.
func TestForwardIsNeverRepeated(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*upstream.Client) *http.Request
	}{
		{"a POST with a body", func(c *upstream.Client) *http.Request { return request(t, c, "POST", "/start", body("{}")) }},
		{"a POST without one", func(c *upstream.Client) *http.Request { return request(t, c, "POST", "/start", nil) }},
		{"a POST with an idempotency key", func(c *upstream.Client) *http.Request {
			r := request(t, c, "POST", "/start", nil)
			r.Header.Set("Idempotency-Key", "1")
			return r
		}},
		{"a POST with an idempotency key of old", func(c *upstream.Client) *http.Request {
			r := request(t, c, "POST", "/start", nil)
			r.Header["X-Idempotency-Key"] = []string{"1"}
			return r
		}},
		{"a PUT", func(c *upstream.Client) *http.Request { return request(t, c, "PUT", "/start", nil) }},
		{"a DELETE", func(c *upstream.Client) *http.Request { return request(t, c, "DELETE", "/start", nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) { p.ReadRequest() }) // read, acted on, and never answered
			client := newClient(t, s.URL)
			response, err := client.Forward(c.make(client), nil)
			if err == nil {
				response.Body.Close()
				t.Errorf("Forward = %s; want a failure", response.Status)
			} else if f := wantFailure(t, err, upstream.Connection); f.NotSent() {
				t.Error("the failure says that nothing was sent")
			}
			wantSeen(t, s, 1)
		})
	}
}

func TestForwardEndsWithItsClient(t *testing.T) {
	reached, noticed := make(chan struct{}), make(chan struct{})
	s := testkit.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		<-r.Context().Done()
		close(noticed)
	}))
	c := newClient(t, s.URL, quick, func(s *setup) { s.breaker.MinRequests = 1 })
	ctx, leave := context.WithCancelCause(t.Context())
	go func() {
		<-reached
		leave(errGone)
	}()
	if _, err := c.Forward(request(t, c, "GET", "/", nil).WithContext(ctx), nil); err != errGone {
		t.Errorf("Forward = %v; want the client's cause", err)
	}
	<-noticed
	wantBreaker(t, c, "closed")
}

// broken is a request body that fails.
type broken struct{ sent bool }

var errBroken = errors.New("bad chunk from the client")

func (b *broken) Read(p []byte) (int, error) {
	if b.sent {
		return 0, errBroken
	}
	b.sent = true
	return copy(p, "half"), nil
}

func (*broken) Close() error { return nil }

// TestBrokenUploadIsTheClientsFault, and it never arrives as if it were whole.
func TestBrokenUploadIsTheClientsFault(t *testing.T) {
	whole := make(chan bool, 100)
	s := testkit.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		whole <- err == nil
	}))
	var own setup
	c := newClient(t, s.URL, quick, func(s *setup) { s.breaker.MinRequests = 1; own = *s })
	for _, length := range []int64{-1, 100} {
		r := request(t, c, "POST", "/", &broken{})
		r.ContentLength = length
		if _, err := c.Forward(r, nil); !errors.Is(err, errBroken) {
			t.Errorf("Forward = %v; want what reading the body gave", err)
		}
		if <-whole {
			t.Error("half a body arrived as a whole one")
		}
	}
	wantBreaker(t, c, "closed")
	if got := testkit.Metrics(t, own.registry); got["pollbridge_upstream_requests_total{passthrough,error}"] != 2 {
		t.Errorf("metrics: %v; want 2 errors", got)
	}
}

// TestRequestThatCannotBeSent is no failure of the upstream: one client must not be
// able to open the circuit for all.
func TestRequestThatCannotBeSent(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
	}{
		{"header name", func(r *http.Request) { r.Header["Bad(Name"] = []string{"1"} }},
		{"header value", func(r *http.Request) { r.Header["X-Bad"] = []string{"a\x01b\nc"} }},
		{"method", func(r *http.Request) { r.Method = "B@D METHOD" }},
		{"target", func(r *http.Request) { r.URL.Opaque = "/\x01" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFlaky()
			client := newClient(t, testkit.Serve(t, f).URL, quick, func(s *setup) { s.breaker.MinRequests = 1 })
			r := request(t, client, "GET", "/", nil)
			c.change(r)
			response, err := client.Forward(r, nil)
			if err == nil {
				response.Body.Close()
				t.Fatal("it was sent")
			}
			if !errors.Is(err, upstream.ErrInvalid) {
				t.Errorf("Forward = %v; want ErrInvalid", err)
			}
			wantBreaker(t, client, "closed")
		})
	}
}

func TestForwardFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason upstream.Reason
		handle func(*testkit.Conn)
	}{
		{"reset", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest(); p.Reset() }},
		{"closed without an answer", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest() }},
		{"garbage", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest(); p.Say("what is this?\r\n\r\n") }},
		{"endless interim answers", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			for {
				if _, err := p.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n")); err != nil {
					return
				}
			}
		}},
		{"another protocol that nobody asked for", upstream.Unreadable, answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")},
		{"HTTP/1.0 with Transfer-Encoding", upstream.Unreadable, answering("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
		{"HTTP/1.0 with Transfer-Encoding, in parts", upstream.Unreadable, func(p *testkit.Conn) {
			p.ReadRequest()
			for _, part := range strings.SplitAfter("HTTP/1.0 200 OK\r\ntransfer-encodinG:chunked\r\n\r\n0\r\n\r\n", "0") {
				p.Say(part)
				time.Sleep(time.Millisecond) // parts of their own, mostly
			}
		}},
		{"an endless head", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\n")
			for range 100_000 {
				if _, err := p.Write([]byte("X-Filler: " + strings.Repeat("x", 1000) + "\r\n")); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, c.handle)
			client := newClient(t, s.URL)
			_, err := client.Forward(request(t, client, "POST", "/"+token, body(credential)), nil)
			if f := wantFailure(t, err, c.reason); f.NotSent() {
				t.Error("the failure says that nothing was sent")
			}
		})
	}
}

// TestBodyThatBreaksOffShows: half an answer must not look like a whole one.
func TestBodyThatBreaksOffShows(t *testing.T) {
	for _, head := range []string{"Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n64\r\n"} {
		s := testkit.NewRawUpstream(t, func(p *testkit.Conn) { p.ReadRequest(); p.Say("HTTP/1.1 200 OK\r\n" + head + "half") })
		c := newClient(t, s.URL)
		response, err := c.Forward(request(t, c, "GET", "/", nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("read %q without an error", text)
		}
		response.Body.Close()
	}
}

// TestInFlightUntilTheBodyIsClosed, and then no more, once.
func TestInFlightUntilTheBodyIsClosed(t *testing.T) {
	f := newFlaky()
	c := newClient(t, testkit.Serve(t, f).URL, func(s *setup) { s.MaxInflight = 1 })
	first, err := c.Forward(request(t, c, "GET", "/", nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := f.requests.Load()
	second := make(chan *http.Response)
	go func() {
		response, err := c.Forward(request(t, c, "GET", "/", nil), nil)
		if err != nil {
			t.Error(err)
		}
		second <- response
	}()
	select {
	case <-second:
		t.Error("two requests were in flight; want one")
	case <-time.After(50 * time.Millisecond): // long enough for one that is not held back
	}
	if f.requests.Load() != seen {
		t.Error("the upstream saw the second request before the first was done")
	}
	for range 3 { // closing again changes nothing
		first.Body.Close()
	}
	third := <-second
	poll := make(chan struct{})
	go func() {
		defer close(poll)
		c.Poll(t.Context(), asked(t), forClient)
	}()
	select {
	case <-poll:
		t.Error("closing a body several times let in several")
	case <-time.After(50 * time.Millisecond):
	}
	third.Body.Close()
	<-poll
}

// TestPollsGoBesideUploads: what passes through leaves a quarter for them.
func TestPollsGoBesideUploads(t *testing.T) {
	f := newFlaky()
	c := newClient(t, testkit.Serve(t, f).URL, func(s *setup) { s.MaxInflight = 4 })
	for range 3 {
		response, err := c.Forward(request(t, c, "GET", "/", nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
	}
	for range 10 {
		poll(t, c, waiting)
	}
}

func TestForwardIsCounted(t *testing.T) {
	f := newFlaky()
	var own setup
	c := newClient(t, testkit.Serve(t, f).URL, func(s *setup) { own = *s })
	for _, status := range []int{200, 204, 404, 500} {
		f.set(respond(status, ""))
		response, err := c.Forward(request(t, c, "GET", "/"+token, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	got := testkit.Metrics(t, own.registry)
	for class, n := range map[string]float64{"2xx": 2, "4xx": 1, "5xx": 1} {
		if name := "pollbridge_upstream_requests_total{passthrough," + class + "}"; got[name] != n {
			t.Errorf("%s = %v; want %v", name, got[name], n)
		}
	}
	for name := range got {
		if strings.Contains(name, token) {
			t.Errorf("a label shows a path: %s", name)
		}
	}
}
