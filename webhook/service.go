package webhook

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/tracing"
	"pollbridge/webhook/delivery"
)

// Service keeps subscriptions, and has events delivered to them. It is safe for concurrent
// use. Create it with New.
type Service struct {
	cfg        Config
	store      *store.Store
	events     *event.Log
	subs       *subscriptions
	check      *checker
	attached   *attached
	health     *health
	deliveries *delivery.Service

	log    *slog.Logger
	living context.Context // ends when Close begins
	end    context.CancelFunc
	ending sync.WaitGroup
}

// Options is what a Service needs besides its configuration.
type Options struct {
	Store     *store.Store
	Events    *event.Log
	Log       *slog.Logger
	Registry  prometheus.Registerer
	UserAgent string // such as pollbridge/1.0
	// Endpoints are the names that subscriptions may filter by.
	Endpoints []string
	// History is how long events and deliveries are kept: store.Config.History. 0
	// means what applies by default.
	History time.Duration
	// Answer gives the final answers whose file is sent. It may be nil: then no event
	// includes a file.
	Answer delivery.AnswerFunc
	// Others are the other processes that send to the same receivers; nil: there are none.
	Others delivery.Announcer
	// Tracer makes the spans of attempts. Nil: there are none.
	Tracer *tracing.Tracer

	resolver     *net.Resolver
	roots        *x509.CertPool
	disableAfter time.Duration
	openFor      time.Duration
	idle         time.Duration
	recovering   time.Duration
	room         int64
	mostBound    int
}

// New opens what is stored and reads the subscriptions; ctx bounds that. Nothing is
// sent before Start. The caller must Close it.
func New(ctx context.Context, cfg Config, o Options) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	history := cmp.Or(o.History, store.DefaultConfig().History)
	s := &Service{cfg: cfg, store: o.Store, events: o.Events, log: o.Log}
	s.living, s.end = context.WithCancel(context.Background())
	if err := s.open(ctx, o, history); err != nil {
		s.end()
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return s, nil
}

func (s *Service) open(ctx context.Context, o Options, history time.Duration) (err error) {
	if s.subs, err = openSubscriptions(ctx, s.living, o.Store, o.Log, history); err != nil {
		return err
	}
	s.health = &health{subs: s.subs, events: s.events, log: o.Log, disableAfter: cmp.Or(o.disableAfter, disableAfter), retries: s.cfg.Retries}
	s.attached = &attached{subs: s.subs, events: s.events, log: o.Log, most: cmp.Or(o.mostBound, mostBound), caughtUp: newCaughtUp(time.Now)}
	s.deliveries, err = delivery.New(ctx, s.cfg.Config, delivery.Options{
		Store: o.Store, Events: o.Events, Subscriptions: receivers{s}, Log: o.Log, Registry: o.Registry, UserAgent: o.UserAgent,
		History: history, Quiet: s.health.quiet(), Answer: o.Answer, Others: o.Others, Tracer: o.Tracer,
		Resolver: o.resolver, Roots: o.roots, OpenFor: o.openFor, Idle: o.idle, Recover: o.recovering, Room: o.room,
	})
	if err != nil {
		return err
	}
	s.health.deliveries, s.attached.deliveries = s.deliveries, s.deliveries
	s.check = &checker{urls: s.deliveries, endpoints: o.Endpoints}
	return nil
}

// Start begins to deliver: what was left undone comes first. It may be called once.
func (s *Service) Start() error {
	if s.living.Err() != nil {
		return errors.New("webhook: closed")
	}
	s.ending.Go(s.endAllDeleted)
	return s.deliveries.Start()
}

// Stop begins no delivery any more. In a fleet Close takes some seconds less where it was called that
// long before.
func (s *Service) Stop() { s.deliveries.Stop() }

// Close stops delivering. Attempts under way have grace to end; what is not done is
// given back and delivered after the next start. It may be called more than once.
func (s *Service) Close(grace time.Duration) {
	s.end()
	s.ending.Wait()
	s.deliveries.Close(grace)
}

// Wanted reports whether a subscription covers events of that session, be it disabled. It
// asks memory only.
func (s *Service) Wanted(subject event.Subject) bool { return s.subs.registry.wanted(subject) }

// Coverage grows whenever subscriptions come to cover sessions that they have not covered before: with
// a new one, wherever it was made, and with another filter. Where one was attached to a session it does
// not grow: whoever did that watches it. It asks memory only.
func (s *Service) Coverage() uint64 { return s.subs.registry.coverage.Load() }

// Current waits until memory knows of each change of a subscription that was made before, by whatever
// process.
func (s *Service) Current(ctx context.Context) error { return s.subs.current(ctx) }

// Changed records a change of state, see event.Log: whoever is attached to the session is let
// go in order.
func (s *Service) Changed(ctx context.Context, c event.Change) (recorded bool, err error) {
	return s.attached.changed(ctx, c)
}

// Knows reports whether there are events of a session.
func (s *Service) Knows(ctx context.Context, sessionID string) (bool, error) {
	return s.events.Knows(ctx, sessionID)
}

// EraseSession erases the events of a session, its deliveries with all that was kept
// of the receivers' answers, and the subscriptions attached to it. Called again after
// an error it goes on where it was. A session that is registered again meanwhile, or
// later, has its events as if it had never been there before, with the same ids.
func (s *Service) EraseSession(ctx context.Context, sessionID string) error {
	if !store.IsID(sessionID) {
		return nil
	}
	defer s.attached.caughtUp.forget(sessionID)
	if err := s.subs.current(ctx); err != nil {
		return err
	}
	found, _ := s.subs.registry.boundTo(sessionID)
	for _, sub := range found {
		if err := s.subs.drop(ctx, sub); err != nil {
			return err
		}
	}
	position, err := s.events.Erase(ctx, sessionID)
	if err != nil {
		return fmt.Errorf("webhook: erasing events: %w", err)
	}
	return s.deliveries.Erase(ctx, sessionID, position)
}

// Stats is what there is to know at a glance.
type Stats struct {
	Subscriptions int // without bound ones
	delivery.Stats
}

// Stats returns what there is to know at a glance.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	deliveries, err := s.deliveries.Stats(ctx)
	return Stats{Subscriptions: len(s.subs.registry.list()), Stats: deliveries}, err
}
