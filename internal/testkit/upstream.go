package testkit

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// Waiting is what an upstream says of a signing under way.
const Waiting = `{"status":"waiting"}`

// Respond answers JSON.
func Respond(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// Serve starts a server that ends with the test, when the last request is answered.
func Serve(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// Request is what an upstream saw.
type Request struct {
	Method, Target, Host, Body string
	Header                     http.Header
	Err                        error // why the body could not be read to its end
}

// Upstream is an HTTP server that remembers what it was asked. It is safe for
// concurrent use.
type Upstream struct {
	URL string

	mu       sync.Mutex
	requests []Request    // guarded by mu, as below
	raw      bytes.Buffer // the first bytes of all connections
	inFlight int
}

// NewUpstream starts an upstream that answers by handler, which finds the whole body of
// the request in body; nil answers Waiting to everything. It ends with the test.
func NewUpstream(t testing.TB, handler func(w http.ResponseWriter, r *http.Request, body string)) *Upstream {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request, _ string) { Respond(w, 200, Waiting) }
	}
	u := &Upstream{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.inFlightBy(1)
		defer u.inFlightBy(-1)
		body, err := io.ReadAll(r.Body)
		u.mu.Lock()
		u.requests = append(u.requests, Request{r.Method, r.RequestURI, r.Host, string(body), r.Header.Clone(), err})
		u.mu.Unlock()
		handler(w, r, string(body))
	}))
	server.Listener = tapListener{server.Listener, u}
	server.Start()
	t.Cleanup(server.Close)
	u.URL = server.URL
	return u
}

// Requests returns those that came so far.
func (u *Upstream) Requests() []Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.requests)
}

// Count returns how many requests came so far.
func (u *Upstream) Count() int { return len(u.Requests()) }

// InFlight returns how many requests came that are not answered yet.
func (u *Upstream) InFlight() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.inFlight
}

func (u *Upstream) inFlightBy(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inFlight += n
}

// Last returns the newest request, and ends the test if there is none.
func (u *Upstream) Last(t testing.TB) Request {
	t.Helper()
	all := u.Requests()
	if len(all) == 0 {
		t.Fatal("the upstream saw no request")
	}
	return all[len(all)-1]
}

// Raw returns what came, byte for byte, of all connections together: the first
// megabyte.
func (u *Upstream) Raw() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.raw.String()
}

// Reset forgets what came.
func (u *Upstream) Reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requests = nil
	u.raw.Reset()
}

// tapListener copies what arrives.
type tapListener struct {
	net.Listener
	to *Upstream
}

func (l tapListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tapConn{conn, l.to}, nil
}

type tapConn struct {
	net.Conn
	to *Upstream
}

func (c tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	if c.to.raw.Len() < 1<<20 {
		c.to.raw.Write(p[:n])
	}
	return n, err
}
