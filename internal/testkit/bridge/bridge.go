// Package bridge gives tests the public listener with everything behind it, wired as the
// program wires it.
package bridge

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/upstream"
	"pollbridge/watch"
)

// No log and no metric may hold these: SecretMark begins the secrets of a test, and
// TokenMark stands in its tokens after more characters than logs may show.
const (
	SecretMark = "sesame-"
	TokenMark  = "Z99Z"
)

// Settings is what a bridge is made with.
type Settings struct {
	Proxy     proxy.Config
	Upstream  upstream.Config
	Breaker   upstream.BreakerConfig
	Cache     cache.Config
	Interval  time.Duration // at which held sessions are refreshed
	Endpoints []session.Endpoint
	Watches   proxy.Watches  // nil: starts are not watched
	Webhooks  proxy.Webhooks // nil: requests cannot name any
	Tracer    *tracing.Tracer
}

// Bridge is a running bridge without a store. Its methods are safe for concurrent use.
type Bridge struct {
	URL       string
	Log       *testkit.LogBuffer
	LongPolls *watch.LongPolls
	Upstream  *upstream.Client

	t        testing.TB
	server   *proxy.Server
	statuses *cache.Statuses
	registry *prometheus.Registry
	stopping sync.Once
	served   chan error
}

// Start starts a bridge in front of an upstream. It has the defaults for the dialect
// marksign, but for a small cache, as changed by changes, and ends with the test.
func Start(t testing.TB, upstreamURL string, changes ...func(*Settings)) *Bridge {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	s := Settings{
		Proxy: proxy.DefaultConfig(), Upstream: upstream.DefaultConfig(), Breaker: upstream.DefaultBreakerConfig(),
		Cache: cache.DefaultConfig(), Interval: time.Second, Endpoints: endpoints,
	}
	s.Upstream.URL = upstreamURL
	s.Cache.MaxSize = 8 << 20 // a large one takes time to set up
	for _, change := range changes {
		change(&s)
	}
	b := &Bridge{t: t, registry: prometheus.NewRegistry(), Log: &testkit.LogBuffer{}, served: make(chan error, 1)}
	log := b.Log.Logger(slog.LevelDebug)
	table, err := session.NewTable(s.Endpoints)
	testkit.NoError(t, err)
	b.Upstream, err = upstream.New(s.Upstream, s.Breaker, upstream.Options{Log: log, Registry: b.registry, UserAgent: "pollbridge/test", Tracer: s.Tracer})
	testkit.NoError(t, err)
	schedule, err := watch.NewSchedule(watch.Config{Schedule: watch.Fixed, Interval: s.Interval}, watch.ScheduleOptions{})
	testkit.NoError(t, err)
	b.LongPolls = watch.NewLongPolls(watch.LongPollOptions{Schedule: schedule, Fresh: s.Cache.PendingTTL, Refresh: b.refresh})
	b.statuses, err = cache.New(s.Cache, cache.Options{
		Poller: b.Upstream, Finals: &testkit.Finals{}, Log: log, Observe: func(v *session.Variant, o *session.Observation) { b.LongPolls.Observe(v, o, false) },
		Tracer: s.Tracer,
	})
	testkit.NoError(t, err)
	b.server, err = proxy.New(s.Proxy, proxy.Options{
		Table: table, Statuses: b.statuses, Holder: b.LongPolls, Upstream: b.Upstream, Log: log, Registry: b.registry,
		Watches: s.Watches, Webhooks: s.Webhooks, Tracer: s.Tracer,
	})
	testkit.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	b.URL = "http://" + ln.Addr().String()
	go func() { b.served <- b.server.Serve(ln) }()
	t.Cleanup(b.Stop)
	return b
}

func (b *Bridge) refresh(ctx context.Context, v *session.Variant) (at time.Time, ok bool) {
	result, err := b.statuses.Get(ctx, v)
	if err != nil || result.How == cache.Stale {
		return time.Time{}, false
	}
	return result.At, true
}

// Stop drains, and looks for secrets in what was logged and counted.
func (b *Bridge) Stop() { b.stop(false) }

// StopInHaste is Stop where the time for draining is over but for what is left for answers.
func (b *Bridge) StopInHaste() { b.stop(true) }

func (b *Bridge) stop(inHaste bool) {
	b.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Timeout)
		defer cancel()
		if inHaste {
			ctx = testkit.AlmostOver(ctx)
		}
		if err := b.server.Shutdown(ctx); err != nil {
			b.t.Errorf("Shutdown = %v", err)
		}
		if err := <-b.served; err != nil {
			b.t.Errorf("Serve = %v", err)
		}
		b.LongPolls.Close()
		b.statuses.Close()
		b.Upstream.Close()
		for what, text := range map[string]string{"log": b.Log.String(), "metrics": b.Metrics()} {
			for _, mark := range []string{SecretMark, TokenMark} {
				if i := strings.Index(text, mark); i >= 0 {
					b.t.Errorf("the %s shows a secret or a whole token: …%s…", what, text[max(0, i-120):min(len(text), i+60)])
				}
			}
		}
	})
}

// Metrics returns the metrics page.
func (b *Bridge) Metrics() string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// StatusPath is that of a status request about a token.
func StatusPath(token string) string { return "/smartid/sign/status/" + token + ".json" }

// StatusBody is that of a status request with a credential.
func StatusBody(credential string) string { return `{"access_token":"` + credential + `"}` }

// Poll makes a status request.
func (b *Bridge) Poll(token, credential string, fields ...string) testkit.Answer {
	b.t.Helper()
	a := testkit.Do(b.t, "POST", b.URL+StatusPath(token), StatusBody(credential), fields...)
	if a.Err != nil {
		b.t.Errorf("poll: %v", a.Err)
	}
	return a
}

// Addr returns the address of the listener.
func (b *Bridge) Addr() string { return strings.TrimPrefix(b.URL, "http://") }

// Dial opens a connection that gives up after a while and ends with the test.
func (b *Bridge) Dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.Addr())
	testkit.NoError(b.t, err)
	b.t.Cleanup(func() { conn.Close() })
	testkit.NoError(b.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

// Send writes bytes to a new connection and reads answers until its end.
func (b *Bridge) Send(raw string) []testkit.Answer {
	b.t.Helper()
	conn := b.Dial()
	_, err := io.WriteString(conn, raw)
	testkit.NoError(b.t, err)
	return testkit.ReadAnswers(b.t, conn)
}
