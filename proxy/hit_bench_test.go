package proxy_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"testing"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/watch"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

const hitRequest = "POST /smartid/sign/status/0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11.json HTTP/1.1\r\n" +
	"Host: 127.0.0.1:8080\r\nContent-Type: application/json\r\nContent-Length: 55\r\n\r\n" +
	`{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c"}`

// endless is a connection whose client sends the same request n times and does not
// look at the answers: what is measured is the server alone.
type endless struct {
	net.Conn
	request []byte
	left    int
	rest    []byte
	closed  chan struct{}

	begins func(answer []byte) bool // it counts from the answer on of which this is true; nil: from the first
	others int                      // requests that may be sent before that
}

func (c *endless) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		count := &c.left
		if c.begins != nil {
			count = &c.others
		}
		if *count == 0 {
			return 0, io.EOF
		}
		*count--
		c.rest = c.request
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *endless) Write(p []byte) (int, error) {
	if c.begins != nil && c.begins(p) {
		c.begins = nil
	}
	return len(p), nil
}

func (c *endless) Close() error                     { close(c.closed); return nil }
func (c *endless) SetDeadline(time.Time) error      { return nil }
func (c *endless) SetReadDeadline(time.Time) error  { return nil }
func (c *endless) SetWriteDeadline(time.Time) error { return nil }
func (c *endless) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *endless) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// once is a listener with one connection.
type once struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *once) Close() error   { close(l.done); return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }

// serveEndlessly measures how a server answers requests on one connection. It stops the server.
func serveEndlessly(b *testing.B, request string, serve func(net.Listener) error, stop func(context.Context) error) {
	b.ReportAllocs()
	b.ResetTimer()
	serveTimes(b, &endless{request: []byte(request), left: b.N}, serve, stop, b.StopTimer)
}

// serveTimes lets a server answer the requests of one connection, before ended. It stops the server.
func serveTimes(tb testing.TB, conn *endless, serve func(net.Listener) error, stop func(context.Context) error, ended func()) {
	ln := &once{make(chan net.Conn), make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- serve(ln) }()
	conn.closed = make(chan struct{})
	ln.conns <- conn
	<-conn.closed
	ended()
	if err := stop(context.Background()); err != nil {
		tb.Error(err)
	}
	<-served
}

type unused struct{}

func (unused) URL(string) (*url.URL, error) { panic("passed through") }
func (unused) Forward(*http.Request, func(code int, header http.Header)) (*http.Response, error) {
	panic("passed through")
}

type always struct{ *session.Observation }

func (a always) Poll(context.Context, *session.Variant, session.PollOptions) (*session.Observation, error) {
	o := *a.Observation
	o.At = time.Now()
	return &o, nil
}

// newHits returns a server that answers everything from memory.
func newHits(tb testing.TB, tracer *tracing.Tracer) *proxy.Server {
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	if err != nil {
		tb.Fatal(err)
	}
	cfg := cache.DefaultConfig()
	cfg.PendingTTL = time.Hour
	waiting := always{&session.Observation{Answer: session.Answer{State: session.Pending}, Content: &session.Content{
		Status: 200, Body: []byte(`{"status":"waiting"}`),
		Header: []session.Field{
			{Name: []byte("Content-Type"), Value: []byte("application/json")},
			{Name: []byte("Server"), Value: []byte("nginx")},
			{Name: []byte("Cache-Control"), Value: []byte("no-cache, private")},
		},
	}}}
	log := slog.New(slog.DiscardHandler)
	statuses, err := cache.New(cfg, cache.Options{Poller: waiting, Finals: &testkit.Finals{}, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(statuses.Close)
	longPolls := watch.NewLongPolls(watch.LongPollOptions{})
	tb.Cleanup(longPolls.Close)
	server, err := proxy.New(proxy.DefaultConfig(), proxy.Options{
		Table: table, Statuses: statuses, Holder: longPolls, Upstream: unused{},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Registry: prometheus.NewRegistry(), Tracer: tracer,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return server
}

func BenchmarkHit(b *testing.B) {
	server := newHits(b, nil)
	serveEndlessly(b, hitRequest, server.Serve, server.Shutdown)
}

// BenchmarkTracedHit is BenchmarkHit with tracing on. Where it is off, BenchmarkHit is as if
// there were none.
func BenchmarkTracedHit(b *testing.B) {
	for name, sampler := range map[string]sdk.Sampler{"recorded": sdk.AlwaysSample(), "not recorded": sdk.NeverSample()} {
		b.Run(name, func(b *testing.B) {
			server := newHits(b, tracing.New(sdk.NewTracerProvider(sdk.WithSampler(sampler), sdk.WithSpanProcessor(nobody{}))))
			serveEndlessly(b, hitRequest, server.Serve, server.Shutdown)
		})
	}
}

// nobody takes spans.
type nobody struct{}

func (nobody) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (nobody) OnEnd(sdk.ReadOnlySpan)                     {}
func (nobody) Shutdown(context.Context) error             { return nil }
func (nobody) ForceFlush(context.Context) error           { return nil }

// mostOfHit is how many allocations a hit takes where tracing is off: those of before there was
// any.
const mostOfHit = 2

func TestHitsAllocateNoMore(t *testing.T) {
	if slowdown > 1 {
		t.Skip("the race detector has pools forget what they hold")
	}
	least := math.Inf(1)
	for range 5 { // whatever else the process does counts, too
		least = min(least, allocationsOfHit(t))
		if least <= mostOfHit+.5 {
			return
		}
	}
	t.Errorf("a hit takes %.2f allocations; want %d", least, mostOfHit)
}

func allocationsOfHit(t *testing.T) float64 {
	const requests = 10_000
	server := newHits(t, nil)
	var before, after runtime.MemStats
	conn := &endless{request: []byte(hitRequest), left: requests, others: 1_000_000}
	conn.begins = func(answer []byte) bool { // the memory takes a while to have what it is given
		if !bytes.Contains(answer, []byte("pollbridge; hit")) {
			return false
		}
		runtime.ReadMemStats(&before)
		return true
	}
	serveTimes(t, conn, server.Serve, server.Shutdown, func() { runtime.ReadMemStats(&after) })
	if conn.begins != nil {
		t.Fatal("nothing was a hit")
	}
	return float64(after.Mallocs-before.Mallocs) / requests
}

// BenchmarkBareFiber is what BenchmarkHit is compared with: it reads the same body
// and writes the same bytes from a map.
func BenchmarkBareFiber(b *testing.B) {
	answers := map[string][]byte{hitRequest[bytes.LastIndexByte([]byte(hitRequest), '\n')+1:]: []byte(`{"status":"waiting"}`)}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post("/smartid/sign/status/:token.json", func(c *fiber.Ctx) error {
		answer, ok := answers[string(c.Body())]
		if !ok {
			return fiber.ErrNotFound
		}
		c.Set("Content-Type", "application/json")
		return c.Send(answer)
	})
	serveEndlessly(b, hitRequest, app.Listener, app.ShutdownWithContext)
}
