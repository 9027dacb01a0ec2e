package proxy_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/watch"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
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
}

func (c *endless) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
		c.rest = c.request
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *endless) Write(p []byte) (int, error)      { return len(p), nil }
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

// serveEndlessly lets a server answer n requests on one connection.
// It stops the server.
func serveEndlessly(b *testing.B, request string, serve func(net.Listener) error, stop func(context.Context) error) {
	ln := &once{make(chan net.Conn), make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- serve(ln) }()
	conn := &endless{request: []byte(request), left: b.N, closed: make(chan struct{})}
	b.ReportAllocs()
	b.ResetTimer()
	ln.conns <- conn
	<-conn.closed
	b.StopTimer()
	if err := stop(context.Background()); err != nil {
		b.Error(err)
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

func BenchmarkHit(b *testing.B) {
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	if err != nil {
		b.Fatal(err)
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
		b.Fatal(err)
	}
	defer statuses.Close()
	longPolls := watch.NewLongPolls(watch.LongPollOptions{Config: watch.DefaultConfig()})
	defer longPolls.Close()
	server, err := proxy.New(proxy.DefaultConfig(), proxy.Options{
		Table: table, Statuses: statuses, Holder: longPolls, Upstream: unused{},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	serveEndlessly(b, hitRequest, server.Serve, server.Shutdown)
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
