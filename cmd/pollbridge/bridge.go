package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/admin"
	"pollbridge/cache"
	"pollbridge/config"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/upstream"
	"pollbridge/watch"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// bridge is the whole program, wired: what serve runs and demo shows.
type bridge struct {
	cfg *config.Config
	log *slog.Logger

	upstream *upstream.Client
	statuses *cache.Statuses
	keeper   *watch.Keeper
	public   *proxy.Server
	private  *admin.Server
	registry *prometheus.Registry

	publicListener, privateListener net.Listener

	draining atomic.Bool
	storeErr atomic.Pointer[error] // why final answers cannot be stored
	serving  sync.WaitGroup
	failed   chan error
}

// drainTime is how long stopping may take, all in all.
const drainTime = 8 * time.Second

func newBridge(cfg *config.Config, log *slog.Logger) (*bridge, error) {
	b := &bridge{cfg: cfg, log: log, registry: prometheus.NewRegistry(), failed: make(chan error, 2)}
	b.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	endpoints, err := cfg.SessionEndpoints()
	if err != nil {
		return nil, err
	}
	table, err := session.NewTable(endpoints)
	if err != nil {
		return nil, err
	}
	b.upstream, err = upstream.New(cfg.Upstream, cfg.Breaker, upstream.Options{
		Log: log, Registry: b.registry, UserAgent: "pollbridge/" + programVersion(),
	})
	if err != nil {
		return nil, err
	}
	b.keeper = watch.NewKeeper(max(cfg.Watch.Interval, cfg.Cache.PendingTTL), b.refresh)
	b.statuses, err = cache.New(cfg.Cache, cache.Options{
		Poller:  b.upstream,
		Finals:  cache.NewMemory(cfg.Cache.FinalTTL, cfg.Cache.MaxSize),
		Log:     log,
		Observe: b.keeper.Observe,
		Kept:    b.noteStore,
	})
	if err != nil {
		return nil, err
	}
	b.registerGauges()
	b.public, err = proxy.New(cfg.Proxy, proxy.Options{
		Table: table, Statuses: b.statuses, Holder: b.keeper, Upstream: b.upstream, Log: log, Registry: b.registry,
	})
	if err != nil {
		return nil, err
	}
	b.private = admin.New(cfg.Admin, admin.Options{Ready: b.ready, Registry: b.registry, Log: log})
	return b, nil
}

// refresh is how held sessions are polled: through the same door as clients.
func (b *bridge) refresh(ctx context.Context, v *session.Variant) (at time.Time, ok bool) {
	result, err := b.statuses.Get(ctx, v)
	if err != nil || result.How == cache.Stale {
		return time.Time{}, false
	}
	return result.At, true
}

// noteStore remembers whether final answers can be stored. One that is too large says
// nothing about that.
func (b *bridge) noteStore(err error) {
	switch {
	case err == nil:
		b.storeErr.Store(nil)
	case !errors.Is(err, cache.ErrTooLarge):
		b.storeErr.Store(&err)
	}
}

var errDraining = errors.New("draining")

func (b *bridge) ready() error {
	if b.draining.Load() {
		return errDraining
	}
	if err := b.storeErr.Load(); err != nil {
		return fmt.Errorf("final answers cannot be stored: %w", *err)
	}
	return nil
}

func (b *bridge) registerGauges() {
	gauge := func(name, help string, value func() float64) {
		b.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("pollbridge_cache_entries", "Answers held in memory.", func() float64 { n, _ := b.statuses.Size(); return float64(n) })
	gauge("pollbridge_cache_bytes", "Bytes of memory that held answers take, about.", func() float64 { _, n := b.statuses.Size(); return float64(n) })
	gauge("pollbridge_watches", "Sessions that are polled in the background.", func() float64 { return float64(b.keeper.Held()) })
}

// start listens and begins to answer. After an error the process has to end: what
// newBridge began is not ended then.
func (b *bridge) start() error {
	var err error
	if b.publicListener, err = net.Listen("tcp", b.cfg.Proxy.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if b.privateListener, err = net.Listen("tcp", b.cfg.Admin.Listen); err != nil {
		b.publicListener.Close()
		return fmt.Errorf("admin.listen: %w", err)
	}
	b.serving.Go(func() { b.serve("public", b.public.Serve, b.publicListener) })
	b.serving.Go(func() { b.serve("admin", b.private.Serve, b.privateListener) })
	return nil
}

func (b *bridge) serve(name string, serve func(net.Listener) error, ln net.Listener) {
	if err := serve(ln); err != nil {
		b.failed <- fmt.Errorf("%s listener: %w", name, err)
	}
}

// stop drains: it answers what is in flight and stops everything in the reverse
// order of its start. It takes no longer than drainTime.
func (b *bridge) stop() {
	b.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.step("public listener", b.public.Shutdown(ctx))
		b.keeper.Close()
		b.statuses.Close()
		b.upstream.Close()
		b.step("admin listener", b.private.Shutdown(ctx))
		// A listener that was not yet served when its server was shut down.
		b.publicListener.Close()
		b.privateListener.Close()
		b.serving.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		b.log.Warn("requests were still in flight at the end of the time for draining")
	}
}

func (b *bridge) step(name string, err error) {
	if err != nil {
		b.log.Warn("shutdown step failed", "step", name, "error", err)
	}
}
