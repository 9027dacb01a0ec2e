package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"pollbridge/cache"
	"pollbridge/internal/logtest"
	"pollbridge/internal/testkit"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/simulator"
	"pollbridge/upstream"
	"pollbridge/watch"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http's words about upstreams that misbehave here
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			// These sleep for a while before they see that there is nothing left to do.
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// Secrets of these tests begin with secretMark, and no log and no metric may hold it;
// tokens hold tokenMark after more characters than logs may show.
const (
	secretMark = "sesame-"
	tokenMark  = "Z99Z"
	token      = "tok1tok2tok3" + tokenMark
)

// settings is what a bridge is made with.
type settings struct {
	proxy     proxy.Config
	upstream  upstream.Config
	breaker   upstream.BreakerConfig
	cache     cache.Config
	interval  time.Duration
	endpoints []session.Endpoint
	watches   proxy.Watches
	webhooks  proxy.Webhooks
}

// bridge is the public listener with everything behind it, wired as the program
// wires it.
type bridge struct {
	t    testing.TB
	addr string
	url  string

	server    *proxy.Server
	statuses  *cache.Statuses
	longPolls *watch.LongPolls
	upstream  *upstream.Client
	registry  *prometheus.Registry
	log       *logtest.Buffer

	stopping sync.Once
	served   chan error
}

// serve starts a bridge in front of an upstream; it is stopped when the test ends.
func serve(t testing.TB, upstreamURL string, changes ...func(*settings)) *bridge {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	s := settings{
		proxy: proxy.DefaultConfig(), upstream: upstream.DefaultConfig(), breaker: upstream.DefaultBreakerConfig(),
		cache: cache.DefaultConfig(), interval: time.Second, endpoints: endpoints,
	}
	s.upstream.URL = upstreamURL
	s.cache.MaxSize = 8 << 20 // a large one takes time to set up
	for _, change := range changes {
		change(&s)
	}
	b := &bridge{t: t, registry: prometheus.NewRegistry(), log: &logtest.Buffer{}, served: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	table, err := session.NewTable(s.endpoints)
	fatal(t, err)
	b.upstream, err = upstream.New(s.upstream, s.breaker, upstream.Options{Log: log, Registry: b.registry, UserAgent: "pollbridge/test"})
	fatal(t, err)
	b.longPolls = watch.NewLongPolls(max(s.interval, s.cache.PendingTTL), b.refresh)
	b.statuses, err = cache.New(s.cache, cache.Options{
		Poller: b.upstream, Finals: &testkit.Finals{}, Log: log, Observe: b.longPolls.Observe,
	})
	fatal(t, err)
	b.server, err = proxy.New(s.proxy, proxy.Options{
		Table: table, Statuses: b.statuses, Holder: b.longPolls, Upstream: b.upstream, Log: log, Registry: b.registry,
		Watches: s.watches, Webhooks: s.webhooks,
	})
	fatal(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	b.addr = ln.Addr().String()
	b.url = "http://" + b.addr
	go func() { b.served <- b.server.Serve(ln) }()
	t.Cleanup(b.stop)
	return b
}

func (b *bridge) refresh(ctx context.Context, v *session.Variant) (at time.Time, ok bool) {
	result, err := b.statuses.Get(ctx, v)
	if err != nil || result.How == cache.Stale {
		return time.Time{}, false
	}
	return result.At, true
}

// stop drains, and looks for secrets in what was logged and counted.
func (b *bridge) stop() {
	b.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.server.Shutdown(ctx); err != nil {
			b.t.Errorf("Shutdown = %v", err)
		}
		if err := <-b.served; err != nil {
			b.t.Errorf("Serve = %v", err)
		}
		b.longPolls.Close()
		b.statuses.Close()
		b.upstream.Close()
		for what, text := range map[string]string{"log": b.log.String(), "metrics": b.metrics()} {
			for _, mark := range []string{secretMark, tokenMark} {
				if i := strings.Index(text, mark); i >= 0 {
					b.t.Errorf("the %s shows a secret or a whole token: …%s…", what, text[max(0, i-120):min(len(text), i+60)])
				}
			}
		}
	})
}

// metrics is the metrics page.
func (b *bridge) metrics() string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// answer is what a client got, whole.
type answer struct {
	status int
	header http.Header
	body   string
	raw    *http.Response
	err    error
}

// client makes requests as they are: no compression, no redirects, no cookies.
var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Second},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       30 * time.Second,
}

// do makes one request; fields are header lines.
func do(t testing.TB, method, url, body string, fields ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	fatal(t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header[http.CanonicalHeaderKey(name)] = append(request.Header[http.CanonicalHeaderKey(name)], value)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	whole, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(whole), response, err}
}

// path and credential are those of the status request that most tests make.
func statusPath(token string) string { return "/smartid/sign/status/" + token + ".json" }

func asking(credential string) string { return `{"access_token":"` + credential + `"}` }

// poll makes a status request.
func (b *bridge) poll(token, credential string, fields ...string) answer {
	b.t.Helper()
	a := do(b.t, "POST", b.url+statusPath(token), asking(credential), fields...)
	if a.err != nil {
		b.t.Errorf("poll: %v", a.err)
		a.header = http.Header{}
	}
	return a
}

// request is what an upstream saw.
type request struct {
	method, target, host, body string
	header                     http.Header
	broken                     error // why the body could not be read to its end
}

// recorder is an upstream that remembers what it was asked.
type recorder struct {
	url string

	mu       sync.Mutex
	requests []request
	raw      bytes.Buffer // all bytes of all connections
	inFlight int
	most     int // in flight at one time
}

const waiting = `{"status":"waiting"}`

// record starts an upstream that answers by handler, which finds the whole body of
// the request in body; nil answers waiting to everything.
func record(t testing.TB, handler func(w http.ResponseWriter, r *http.Request, body string)) *recorder {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request, _ string) { respond(w, 200, waiting) }
	}
	rec := &recorder{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.enter()
		defer rec.leave()
		body, err := io.ReadAll(r.Body)
		rec.note(request{r.Method, r.RequestURI, r.Host, string(body), r.Header.Clone(), err})
		handler(w, r, string(body))
	}))
	server.Listener = tapListener{server.Listener, rec}
	server.Start()
	t.Cleanup(server.Close)
	rec.url = server.URL
	return rec
}

func respond(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func (r *recorder) enter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight++
	r.most = max(r.most, r.inFlight)
}

func (r *recorder) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight--
}

func (r *recorder) note(seen request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, seen)
}

func (r *recorder) all() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.requests...)
}

// reset forgets what was seen.
func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
	r.raw.Reset()
}

func (r *recorder) count() int { return len(r.all()) }

// last returns the newest request, which must be there.
func (r *recorder) last(t testing.TB) request {
	t.Helper()
	all := r.all()
	if len(all) == 0 {
		t.Fatal("the upstream saw no request")
	}
	return all[len(all)-1]
}

func (r *recorder) bytes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.String()
}

// tapListener copies what arrives.
type tapListener struct {
	net.Listener
	rec *recorder
}

func (l tapListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tapConn{conn, l.rec}, nil
}

type tapConn struct {
	net.Conn
	rec *recorder
}

func (c tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	if c.rec.raw.Len() < 1<<20 {
		c.rec.raw.Write(p[:n])
	}
	return n, err
}

// rawUpstream starts an upstream that is a function of the connection.
func rawUpstream(t testing.TB, talk func(conn net.Conn, r *bufio.Reader)) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	var talking sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	talking.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
			talking.Go(func() {
				defer conn.Close()
				talk(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		talking.Wait()
	})
	return "http://" + ln.Addr().String()
}

// simulate starts the simulated signing API.
func simulate(t testing.TB, change func(*simulator.Config)) (*simulator.Simulator, string) {
	t.Helper()
	cfg := simulator.DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	sim, err := simulator.New(cfg)
	fatal(t, err)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	t.Cleanup(sim.Close)
	return sim, server.URL
}

// dial opens a connection to the bridge that gives up after a while.
func (b *bridge) dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	fatal(b.t, err)
	b.t.Cleanup(func() { conn.Close() })
	fatal(b.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

// send writes bytes to a new connection and reads all answers until its end.
func (b *bridge) send(raw string) []answer {
	b.t.Helper()
	conn := b.dial()
	_, err := io.WriteString(conn, raw)
	fatal(b.t, err)
	return readAnswers(b.t, conn)
}

// readAnswers reads answers until the connection ends.
func readAnswers(t testing.TB, conn io.Reader) []answer {
	t.Helper()
	whole, err := io.ReadAll(conn)
	if err != nil && !isReset(err) {
		t.Errorf("the connection did not end: %v; so far %.300q", err, whole)
	}
	reader := bufio.NewReader(bytes.NewReader(whole))
	var answers []answer
	for {
		if _, err := reader.Peek(1); err != nil {
			return answers
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Errorf("what was answered cannot be read: %v in %.600q", err, whole)
			return answers
		}
		body, err := io.ReadAll(response.Body)
		answers = append(answers, answer{response.StatusCode, response.Header, string(body), response, err})
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), "reset by peer") }

func statuses(answers []answer) []int {
	var codes []int
	for _, a := range answers {
		codes = append(codes, a.status)
	}
	return codes
}

// patience is how long something may take that a test waits for.
const patience = 30 * time.Second

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
