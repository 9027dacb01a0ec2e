package upstream_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"pollbridge/internal/testkit"
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
	waiting    = testkit.Waiting
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
func logged(t *testing.T, url string, change ...func(*setup)) (*testkit.LogBuffer, *upstream.Client) {
	var log testkit.LogBuffer
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

func wantSeen(t testing.TB, u *testkit.RawUpstream, n int) {
	t.Helper()
	if seen := u.Requests(); len(seen) != n {
		t.Errorf("the upstream saw %d requests; want %d", len(seen), n)
	}
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
func answering(text string) func(*testkit.Conn) {
	return func(c *testkit.Conn) {
		for {
			if _, ok := c.ReadRequest(); !ok {
				return
			}
			c.Say(text)
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

// certificate returns what a TLS server at 127.0.0.1 or example.com needs, and the file
// that makes a client trust it.
func certificate(t testing.TB) (certificates []tls.Certificate, caFile string) {
	t.Helper()
	c := testkit.NewCertificate(t, "example.com")
	return []tls.Certificate{c.Certificate}, c.CertFile
}
