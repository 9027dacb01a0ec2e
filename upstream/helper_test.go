package upstream_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"pollbridge/internal/logtest"
	"pollbridge/session"
	"pollbridge/upstream"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http's words about upstreams that misbehave here
	goleak.VerifyTestMain(m,
		// It ends by itself, up to ten seconds after the last connection was closed.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"))
}

const (
	token      = "0b6cbb2e-token"
	credential = "c7a1a0b4-credential"
	waiting    = `{"status":"waiting"}`
)

// setup is what a test changes of a client before it is made.
type setup struct {
	upstream.Config
	breaker  upstream.BreakerConfig
	registry *prometheus.Registry
	log      *slog.Logger // nil: none
}

// newClient makes a client of the upstream at url that ends with the test.
func newClient(t testing.TB, url string, change ...func(*setup)) *upstream.Client {
	t.Helper()
	s := setup{Config: upstream.DefaultConfig(), breaker: upstream.DefaultBreakerConfig(), registry: prometheus.NewRegistry()}
	s.URL = url
	for _, f := range change {
		f(&s)
	}
	c, err := upstream.New(s.Config, s.breaker, options(&s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// options are those of a client; they make its registry and log if there are none.
func options(s *setup) upstream.Options {
	if s.registry == nil {
		s.registry = prometheus.NewRegistry()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return upstream.Options{Log: s.log, Registry: s.registry, UserAgent: "pollbridge/test"}
}

// logged makes a client of which the log can be read.
func logged(t *testing.T, url string, change ...func(*setup)) (*logtest.Buffer, *upstream.Client) {
	var log logtest.Buffer
	change = append(change, func(s *setup) { s.log = slog.New(slog.NewTextHandler(&log, nil)) })
	return &log, newClient(t, url, change...)
}

func timeout(d time.Duration) func(*setup) { return func(s *setup) { s.Timeout = d } }

// dialect finds the endpoint of a dialect that smartid-sign is.
func dialect(name string) session.Endpoint {
	endpoints, _ := session.Dialect(name)
	return endpoints[0]
}

func bearer(t testing.TB) session.Endpoint {
	t.Helper()
	e, err := session.NewEndpoint(session.EndpointConfig{
		Name: "document", Method: "GET", Path: "/document/{token}/check-status", Credential: "header:Authorization",
		Status: "/data/document_status", Pending: []string{"waiting"}, Succeeded: []string{"ok"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// question makes the variant that asks e for a token.
func question(t testing.TB, e session.Endpoint, locale int, query, body string) *session.Variant {
	t.Helper()
	table, err := session.NewTable([]session.Endpoint{e})
	if err != nil {
		t.Fatal(err)
	}
	match, ok := table.Match([]byte(e.Method), []byte(table.Endpoints()[0].Path(locale, token)))
	var r session.Request
	var h session.Header
	if e.Credential.In == session.InHeader {
		h = authorized{}
	}
	if !ok || !r.Read(match, session.Incoming{Query: []byte(query), Body: []byte(body), Header: h}) {
		t.Fatalf("%s?%s %s is no status request", table.Endpoints()[0].Path(locale, token), query, body)
	}
	return r.Variant()
}

type authorized struct{}

func (authorized) PeekAll(name string) [][]byte {
	if name != "Authorization" {
		return nil
	}
	return [][]byte{[]byte("Bearer " + credential)}
}

// asked is the question that most tests ask.
func asked(t testing.TB) *session.Variant {
	t.Helper()
	return question(t, dialect("marksign"), 0, "", `{"access_token":"`+credential+`"}`)
}

// forClient is a poll for a client.
var forClient session.PollOptions

// another makes the question about another session for each number.
func another(t testing.TB, number int) *session.Variant {
	t.Helper()
	table, err := session.NewTable([]session.Endpoint{dialect("marksign")})
	if err != nil {
		t.Fatal(err)
	}
	v, err := table.Variant("smartid-sign", fmt.Sprint("session-", number), credential, "")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// poll asks and wants this body.
func poll(t testing.TB, c *upstream.Client, body string) {
	t.Helper()
	o, err := c.Poll(t.Context(), asked(t), forClient)
	if err != nil {
		t.Errorf("Poll = %v; want %s", err, body)
		return
	}
	if string(o.Body) != body {
		t.Errorf("Poll = %s; want %s", o.Body, body)
	}
}

// wantFailure checks that err is a failure for a reason, and that its text shows
// nothing of the request.
func wantFailure(t testing.TB, err error, reason upstream.Reason) *upstream.Failure {
	t.Helper()
	failure, ok := errors.AsType[*upstream.Failure](err)
	if !ok || failure.Reason != reason {
		t.Errorf("error = %v; want a failure for %s", err, reason)
		return &upstream.Failure{}
	}
	if failure.RetryAfter < time.Second {
		t.Errorf("RetryAfter = %v; want at least 1s", failure.RetryAfter)
	}
	if text := failure.Error(); strings.Contains(text, token) || strings.Contains(text, credential) {
		t.Errorf("the error shows the request: %s", text)
	}
	return failure
}

// server is an upstream that speaks bytes.
type server struct {
	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	requests []string   // guarded by mu, as all below
	conns    []net.Conn // that were accepted
}

// peer is one connection of a server.
type peer struct {
	net.Conn
	number int // of the connection, from 1
	read   *bufio.Reader
	server *server
}

// serve starts a server whose connections each run handle and are then closed.
func serve(t testing.TB, handle func(*peer)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, listener, handle)
}

func serveOn(t testing.TB, listener net.Listener, handle func(*peer)) *server {
	s := &server{listener: listener}
	s.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			p := &peer{conn, len(s.conns), bufio.NewReader(conn), s}
			s.mu.Unlock()
			s.work.Go(func() {
				defer conn.Close()
				handle(p)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.hangUp()
		s.work.Wait()
	})
	return s
}

func (s *server) url() string { return "http://" + s.listener.Addr().String() }

// hangUp closes all connections.
func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		conn.Close()
	}
}

// seen returns the requests that were read, as they came.
func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

func (s *server) wantSeen(t testing.TB, n int) {
	t.Helper()
	if seen := s.seen(); len(seen) != n {
		t.Errorf("the upstream saw %d requests; want %d", len(seen), n)
	}
}

// request reads a request byte for byte; false means that none came.
func (p *peer) request() (string, bool) {
	var raw bytes.Buffer
	length := 0
	for {
		line, err := p.read.ReadString('\n')
		if err != nil {
			return "", false
		}
		raw.WriteString(line)
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
		if line == "\r\n" {
			break
		}
	}
	if _, err := io.CopyN(&raw, p.read, int64(length)); err != nil {
		return "", false
	}
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.server.requests = append(p.server.requests, raw.String())
	return raw.String(), true
}

func (p *peer) say(text string) { io.WriteString(p.Conn, text) }

// untilClosed waits until the client closes the connection.
func (p *peer) untilClosed() { io.Copy(io.Discard, p.read) }

// reset closes the connection with a reset.
func (p *peer) reset() {
	p.Conn.(*net.TCPConn).SetLinger(0)
	p.Conn.Close()
}

// answer is a response as a sane server writes it.
func answer(status int, body string, header ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// answering is a handler that gives the same answer to all requests.
func answering(text string) func(*peer) {
	return func(p *peer) {
		for {
			if _, ok := p.request(); !ok {
				return
			}
			p.say(text)
		}
	}
}

// switchable is a handler that can be changed while it runs.
type switchable struct {
	mu     sync.Mutex
	handle http.HandlerFunc // guarded by mu
}

func (s *switchable) set(handle http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = handle
}

func (s *switchable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	handle := s.handle
	s.mu.Unlock()
	handle(w, r)
}

// respond is a handler that answers the same status and body.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func start(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// certificate returns what a TLS server on 127.0.0.1 needs, and the file that makes
// a client trust it.
func certificate(t *testing.T) (certificates []tls.Certificate, caFile string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return s.TLS.Certificates, caFile
}

// counted returns the values of all counters and gauges, by name and labels.
func counted(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			var labels []string
			for _, pair := range metric.Label {
				labels = append(labels, pair.GetValue())
			}
			name := strings.TrimPrefix(family.GetName(), "pollbridge_") + "{" + strings.Join(labels, ",") + "}"
			values[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// longest is how long something may take that a test waits for.
const longest = 30 * time.Second

// eventually polls a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(start) > longest {
			t.Fatalf("%s: not within %v", what, longest)
		}
	}
}
