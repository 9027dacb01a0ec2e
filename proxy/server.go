package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/accept"
	"pollbridge/internal/hangup"
	"pollbridge/internal/http10"
	"pollbridge/internal/peer"
	"pollbridge/internal/period"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/watch"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Statuses answers status requests; see cache.Statuses.
type Statuses interface {
	Fresh(key []byte, locale int) (cache.Result, bool)
	GetFor(ctx context.Context, v *session.Variant, origin string) (cache.Result, error)
	CORS(v *session.Variant, origin string) (fields []session.Field, known bool)
	Known(v *session.Variant) (cache.Result, bool)
}

// Holder keeps sessions fresh while requests are held; see watch.LongPolls.
type Holder interface {
	Hold(v *session.Variant) *watch.Hold
}

// Forwarder sends on what passes through; see upstream.Client.
type Forwarder interface {
	URL(target string) (*url.URL, error)
	Forward(*http.Request, func(code int, header http.Header)) (*http.Response, error)
}

// Options is what a Server needs besides its configuration. All of it is needed, but
// for Watches, Webhooks and Tracer.
type Options struct {
	Table    *session.Table
	Statuses Statuses
	Holder   Holder
	Upstream Forwarder
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Watches is told of sessions that start calls begin. Nil: nobody is.
	Watches Watches
	// Webhooks takes webhooks from requests. Nil, or without Watches: they are
	// refused.
	Webhooks Webhooks
	// Tracer makes the spans of requests. Nil: there are none.
	Tracer *tracing.Tracer
}

// Server is the public listener. Create it with New.
type Server struct {
	options Options
	trusted peer.Proxies
	tls     *tls.Config
	metrics *metrics

	app            *fiber.App
	statusRequests sync.Pool // of *statusRequest
	hangups        *hangup.Watcher
	lingering      *lingering
	streams        http10.Streams

	running context.Context // ends when the server drains: nobody is held any more
	drain   context.CancelCauseFunc
	serving context.Context // ends shortly before draining has to: nobody waits any more
	hurry   context.CancelCauseFunc
}

// Bounds on what clients may take. A request must arrive within readTimeout, except
// for a body, which only has to keep coming.
const (
	maxConnections = 64 << 10
	maxHeader      = 16 << 10
	readTimeout    = 10 * time.Second
	idleTimeout    = 75 * time.Second
	hangupChecks   = 250 * time.Millisecond
	lastWord       = time.Second // before draining has to end, requests that wait for the upstream are answered without its answer
)

// New returns a server that is not listening yet.
func New(cfg Config, o Options) (*Server, error) {
	secure, err := cfg.TLS.Load(o.Log)
	if err != nil {
		return nil, fmt.Errorf("proxy: tls: %w", err)
	}
	s := &Server{
		options: o, trusted: cfg.TrustedProxies, tls: secure,
		metrics:   newMetrics(o.Registry, o.Table),
		hangups:   hangup.New(hangupChecks),
		lingering: &lingering{},
	}
	s.statusRequests.New = func() any { return new(statusRequest) }
	s.running, s.drain = context.WithCancelCause(context.Background())
	s.serving, s.hurry = context.WithCancelCause(context.Background())
	s.app = fiber.New(fiber.Config{
		AppName:               "pollbridge",
		DisableStartupMessage: true,
		CaseSensitive:         true,
		StrictRouting:         true,
		StreamRequestBody:     true,
		RequestMethods:        methods,
		// Multipart bodies would be taken apart, and put together again otherwise.
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               maxHeader,
		ReadTimeout:                  readTimeout,
		IdleTimeout:                  idleTimeout,
		Concurrency:                  maxConnections,
		ErrorHandler:                 s.handleError,
	})
	s.app.Use(s.handle)
	engine := s.app.Server()
	engine.SecureErrorLogMessage = true // its messages quote what was sent
	engine.Logger = log.New(io.Discard, "", 0)
	engine.Handler = refuseUnknownMethods(engine.Handler)
	return s, nil
}

// Serve answers requests that arrive at ln until Shutdown, then returns nil. It
// closes ln.
func (s *Server) Serve(ln net.Listener) error {
	ln = clientListener{accept.Retrying(ln, s.options.Log), s.lingering}
	if s.tls != nil {
		ln = recordedListener{tls.NewListener(ln, s.tls)}
	}
	return s.app.Listener(ln)
}

// Shutdown stops accepting, answers held requests with what is known, and waits for
// the requests in flight, but no longer than ctx. A second before its deadline, those that
// still wait for the upstream are answered with an error. It may be called once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain(errDraining)
	s.lingering.close()
	defer period.Before(ctx, lastWord, func() { s.hurry(errDraining) })()
	err := errors.Join(s.app.ShutdownWithContext(ctx), s.streams.Wait(ctx))
	s.hangups.Close()
	return err
}
