package admin

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"pollbridge/admin/api"
	"pollbridge/admin/console"
	"pollbridge/internal/accept"
	"pollbridge/internal/http10"
	"pollbridge/internal/peer"
	"pollbridge/internal/period"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options is what a Server needs besides its configuration.
type Options struct {
	// Ready says why the program should get no requests, or nil. It is called for
	// each probe and must not block.
	Ready    func() error
	Registry prometheus.Registerer
	Metrics  prometheus.Gatherer // what /metrics shows
	// Exemplars has /metrics speak OpenMetrics with who asks for that: only so are exemplars
	// shown. The values of some labels read differently then.
	Exemplars bool
	Log       *slog.Logger

	// Services are what the management API manages; nil means that there is no such
	// API, and the rest of the options is not used.
	Services *Services
	Version  string        // of the program, for the description of the API
	Ping     time.Duration // between signs of life on quiet event streams; 0 means 15 s

	// Proxies are those whose X-Forwarded-* fields are believed.
	Proxies peer.Proxies
	// Logins has browsers log in; nil means that none can, and there is no dashboard.
	Logins Logins
}

// Server is the private listener. Create it with New.
type Server struct {
	app       *fiber.App
	log       *slog.Logger
	tls       *tls.Config // nil: plain http
	longPolls *longPolls
	streams   http10.Streams // to clients of HTTP/1.0

	calling context.Context // ends shortly before Shutdown has to: no call is worked on any more
	hurry   context.CancelFunc
}

// lastWord is what is left of the time for Shutdown when calls that are not done are answered with an error.
const lastWord = time.Second

// New returns a server that is not listening yet.
func New(cfg Config, o Options) (*Server, error) {
	secure, err := cfg.TLS.Load(o.Log)
	if err != nil {
		return nil, fmt.Errorf("admin: tls: %w", err)
	}
	s := &Server{log: o.Log, tls: secure, longPolls: newLongPolls()}
	s.calling, s.hurry = context.WithCancel(context.Background())
	s.app = fiber.New(fiber.Config{
		AppName:               "pollbridge admin",
		DisableStartupMessage: true,
		CaseSensitive:         true,
		StrictRouting:         true,
		Immutable:             true, // huma hands strings on, and services keep them
		StreamRequestBody:     true, // so that the key comes first, and wholeBody after it
		ReadBufferSize:        16 << 10,
		ReadTimeout:           10 * time.Second,
		WriteTimeout:          writeTime,
		IdleTimeout:           75 * time.Second,
		ErrorHandler:          s.handleError,
	})
	engine := s.app.Server()
	engine.SecureErrorLogMessage = true // its messages quote what was sent
	engine.Logger = log.New(io.Discard, "", 0)
	s.app.Use(recover.New())
	s.app.Get("/healthz", func(c *fiber.Ctx) error { return c.JSON(probe{Status: "ok", Name: api.Name}) })
	s.app.Get("/readyz", readiness(o.Ready))
	access := newAccess(cfg, o)
	if o.Services != nil {
		m := &management{
			Services: *o.Services, log: o.Log, calling: s.calling, longPolls: s.longPolls, streams: &s.streams,
			unsent: newUnsent(o.Registry), ping: cmp.Or(o.Ping, 15*time.Second), access: access,
		}
		m.register(s.app, o.Version)
	}
	if access.logins != nil {
		access.registerLogin(s.app)
		console.Register(s.app)
	}
	s.app.Use(access.orLoopback)
	s.app.Get("/metrics", adaptor.HTTPHandler(promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: o.Exemplars})))
	return s, nil
}

// Serve answers requests that arrive at ln until Shutdown, then returns nil. It
// closes ln.
func (s *Server) Serve(ln net.Listener) error {
	ln = pacedListener{accept.Retrying(ln, s.log)}
	if s.tls != nil {
		ln = tls.NewListener(ln, s.tls)
	}
	return s.app.Listener(http10.Listener{Listener: ln})
}

// Shutdown stops accepting, ends what waits for events and waits for the requests in
// flight, but no longer than ctx. A second before its deadline, those that are not done are
// answered with an error.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.hurry()
	defer period.Before(ctx, lastWord, s.hurry)()
	s.longPolls.close(ctx)
	return errors.Join(s.app.ShutdownWithContext(ctx), s.streams.Wait(ctx))
}

type probe struct {
	Status string `json:"status"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func readiness(ready func() error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := ready(); err != nil {
			return c.Status(http.StatusServiceUnavailable).JSON(probe{Status: "not ready", Reason: err.Error()})
		}
		return c.JSON(probe{Status: "ready"})
	}
}

func (s *Server) handleError(c *fiber.Ctx, err error) error {
	p, known := errors.AsType[*problem](err)
	if !known {
		p = newProblem(http.StatusInternalServerError, "")
		if refused, ok := errors.AsType[*fiber.Error](err); ok {
			p = newProblem(refused.Code, "")
		} else {
			s.log.Error("management request failed", "error", err)
		}
	}
	if p.Status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	return c.Status(p.Status).JSON(p, problemType)
}
