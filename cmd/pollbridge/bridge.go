package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/admin"
	"pollbridge/cache"
	"pollbridge/config"
	"pollbridge/event"
	"pollbridge/finals"
	"pollbridge/fleet"
	"pollbridge/fleet/door"
	"pollbridge/internal/patience"
	"pollbridge/internal/period"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/store/cluster"
	"pollbridge/store/engine"
	"pollbridge/tracing"
	"pollbridge/upstream"
	"pollbridge/watch"
	"pollbridge/webhook"

	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// setup is what a bridge is made from.
type setup struct {
	cfg *config.Config
	log *slog.Logger

	// through is how the store reaches its engine; nil: by the engine's own connection.
	through func(store.Connection) (store.Connection, error)
}

// bridge is the whole program, wired: what serve runs and demo shows.
type bridge struct {
	setup

	endpoints []string // their names
	table     *session.Table
	store     *store.Store
	finals    *finals.Finals
	unkept    cache.Unkept
	patience  patience.Patience // with the store
	events    *event.Log
	upstream  *upstream.Client
	statuses  *cache.Statuses
	webhooks  *webhook.Service
	longPolls *watch.LongPolls
	schedule  *watch.Schedule
	watcher   *watch.Watcher
	cluster   *cluster.Cluster // nil where there is no fleet
	fleet     *fleet.Fleet     // nil: this process is alone, as is door
	door      *door.Door
	shared    *door.Watches
	public    *proxy.Server
	private   *admin.Server
	registry  registry
	tracer    *tracing.Tracer // nil: no spans are made
	started   time.Time
	id        string   // of this replica
	closers   []func() // in the order in which things were opened

	publicListener, privateListener net.Listener

	draining atomic.Bool
	stopping time.Time                 // when stop was called
	storeErr atomic.Pointer[time.Time] // when a final answer could not be stored, if the last one could not
	serving  sync.WaitGroup
	failed   chan error
}

// drainTime is how long stopping may take, all in all, answerTime how long of that requests in
// flight may, and pollTime polls of the upstream after that. Attempts of webhooks have what is left, but for
// storeTime: else the store would not be closed in good order.
const (
	drainTime  = 9 * time.Second
	answerTime = 5 * time.Second
	pollTime   = time.Second
	storeTime  = time.Second
	// callsLeft is what is left of answerTime for calls of the management API, whatever clients of the public
	// listener do. Until then its probes say that this drains.
	callsLeft = 2 * time.Second
)

// newBridge opens what is stored and wires everything, from the bottom up; ctx governs only that.
// Nothing listens, polls or is sent before start. After an error nothing is left open. Where it may
// help it tries again, each time with a bridge that knows nothing of the one before.
func newBridge(ctx context.Context, s setup) (*bridge, error) {
	begun := time.Now()
	for told := false; ; told = true {
		b := &bridge{
			setup: s, registry: newRegistry(), failed: make(chan error, 2), started: time.Now(), id: nuid.Next(),
		}
		err := b.open(ctx)
		if err == nil {
			return b, nil
		}
		if !b.openAgain(err) || time.Since(begun) > openingTime {
			return nil, err
		}
		if !told {
			s.log.Warn("cannot start yet, trying again", "error", err)
		}
		if err := period.Pause(ctx, openPause); err != nil {
			return nil, err
		}
	}
}

func (b *bridge) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openingTime)
	defer cancel()
	for _, step := range []func(context.Context) error{b.readTable, b.openTracing, b.openStore, b.makeFleet, b.makeWebhooks, b.makeFront, b.makeWatches, b.makeListeners} {
		if err := step(ctx); err != nil {
			b.undo()
			return b.whyNot(err)
		}
	}
	b.registerGauges()
	return nil
}

func (b *bridge) readTable(context.Context) error {
	endpoints, err := b.cfg.SessionEndpoints()
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		b.endpoints = append(b.endpoints, e.Name)
	}
	b.table, err = session.NewTable(endpoints, b.cfg.Cache.IgnoredQueryFields...)
	return err
}

// openingTime bounds how long one try at opening what is stored may take, and for how long another one follows.
const openingTime = time.Minute

func (b *bridge) openStore(ctx context.Context) error {
	open := b.openAlone
	if b.cfg.Store.NATS.URL != "" {
		open = b.openShared
	}
	options, err := open(ctx)
	if err != nil {
		return err
	}
	if b.through != nil {
		if options.Connection, err = b.through(options.Connection); err != nil {
			return err
		}
	}
	options.Log = b.log
	if b.store, err = store.Open(ctx, b.cfg.Store.Data, options); err != nil {
		return err
	}
	b.closers = append(b.closers, b.store.Close)
	if b.finals, err = finals.Open(ctx, b.store); err != nil {
		return err
	}
	b.events, err = event.Open(ctx, event.Options{Store: b.store, History: b.cfg.Store.Data.History, Log: b.log, Registry: b.registry, Tracer: b.tracer})
	return err
}

// openAlone opens an engine in the data directory.
func (b *bridge) openAlone(ctx context.Context) (o store.Options, err error) {
	// Whatever ends ctx, or what was lost would not be found out, and never again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openingTime)
	defer cancel()
	running, err := engine.Open(ctx, b.cfg.Store.Engine, engine.Options{Log: b.log, Prepare: func(dir string, empty bool) (err error) {
		o.Key, err = store.LoadKey(b.cfg.Store.Data, dir, empty)
		return err
	}})
	if err != nil {
		return o, err
	}
	b.closers = append(b.closers, func() { b.step("engine", running.Close()) })
	o.Connection = running
	return o, nil
}

// makeFront makes what answers status requests: the upstream's client and the cache.
func (b *bridge) makeFront(context.Context) (err error) {
	options := upstream.Options{Log: b.log, Registry: b.registry, UserAgent: userAgent(), Tracer: b.tracer}
	if b.fleet != nil {
		options.Held = func(v *session.Variant, status int, wait time.Duration) { b.door.Held(v, status, wait) }
	}
	b.upstream, err = upstream.New(b.cfg.Upstream, b.cfg.Breaker, options)
	if err != nil {
		return err
	}
	b.closers = append(b.closers, b.upstream.Close)
	poller, kept := b.way()
	b.statuses, err = cache.New(b.cfg.Cache, cache.Options{
		Poller: poller, Finals: kept, Unkept: &b.unkept, Patience: &b.patience, Retain: b.cfg.Store.Data.Retain, Log: b.log, Observe: b.observe, Kept: b.noteStore,
		Fresh:    b.fresh,
		Coverage: b.webhooks.Coverage,
		Tracer:   b.tracer,
		Pending:  func(v *session.Variant) *session.Observation { return b.watcher.Pending(v) },
	})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, b.closeStatuses)
	return nil
}

func (b *bridge) makeWebhooks(ctx context.Context) (err error) {
	options := webhook.Options{
		Store: b.store, Events: b.events, Log: b.log, Registry: b.registry, UserAgent: userAgent(),
		Endpoints: b.endpoints, History: b.cfg.Store.Data.History,
		Answer: b.answers().Of, Tracer: b.tracer,
	}
	if b.fleet != nil {
		options.Others = b.fleet
	}
	b.webhooks, err = webhook.New(ctx, b.cfg.Webhook, options)
	if err != nil {
		return err
	}
	b.closers = append(b.closers, func() { b.webhooks.Close(max(0, b.leftOfDrain()-storeTime)) })
	return nil
}

func (b *bridge) makeWatches(context.Context) (err error) {
	b.schedule, err = watch.NewSchedule(b.cfg.Watch, watch.ScheduleOptions{
		Endpoints: b.endpoints, Store: b.store, Replica: b.replica(), Log: b.log, Registry: b.registry,
	})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, b.schedule.Close)
	b.longPolls = watch.NewLongPolls(watch.LongPollOptions{
		Schedule: b.schedule, Fresh: b.cfg.Cache.PendingTTL, Refresh: b.refreshHeld,
		Polled: func(v *session.Variant) bool { return b.watcher.Polls(v) },
		Began:  func(v *session.Variant) { b.watcher.Hurry(v) },
		Serves: b.serves,
	})
	b.closers = append(b.closers, b.longPolls.Close)
	b.watcher, err = watch.New(b.cfg.Watch, watch.Options{
		Store: b.store, Table: b.table, Events: b.webhooks, Finals: b.finals, Ask: b.ask, Erase: b.erase, Schedule: b.schedule, Waited: b.longPolls.Waited, Rate: b.cfg.Upstream.Rate,
		Retain: b.cfg.Store.Data.Retain, Log: b.log, Registry: b.registry, Patience: &b.patience, Share: b.share(), HandOn: b.handOn, Tracer: b.tracer,
	})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, b.watcher.Close)
	return nil
}

func (b *bridge) makeListeners(ctx context.Context) (err error) {
	b.public, err = proxy.New(b.cfg.Proxy, proxy.Options{
		Table: b.table, Statuses: b.statuses, Holder: b.longPolls, Upstream: b.upstream, Watches: b.watches(), Webhooks: b.webhooks,
		Log: b.log, Registry: b.registry, Tracer: b.tracer,
	})
	if err != nil {
		return err
	}
	cfg := b.cfg.Admin
	if len(cfg.Keys) == 0 {
		key, path, made, err := admin.KeyFile(b.cfg.Store.Engine.Dir)
		if err != nil {
			return err
		}
		if made {
			b.log.Info("a key for the management API was made", "file", path)
		}
		cfg.Keys = []string{key}
	}
	logins, err := b.store.Bucket(ctx, store.BucketConfig{Name: "logins", MaxAge: admin.LoginTime})
	if err != nil {
		return err
	}
	// Apart from the figures of the bridge, which the dashboard wants each second: these take
	// longer than all of those.
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	b.private, err = admin.New(cfg, admin.Options{
		Ready: b.ready, Registry: b.registry, Metrics: prometheus.Gatherers{b.registry, process}, Exemplars: b.tracer != nil, Log: b.log, Services: b.services(), Version: programVersion(),
		Proxies: b.cfg.Proxy.TrustedProxies, Logins: logins,
	})
	return err
}

func userAgent() string { return "pollbridge/" + programVersion() }

// undo closes everything that was opened, in reverse order.
func (b *bridge) undo() {
	for _, close := range slices.Backward(b.closers) {
		close()
	}
	b.closers = nil
}

// closeStatuses waits for polls under way, but not for a silent upstream. In a fleet other replicas
// wait for them, too.
func (b *bridge) closeStatuses() {
	wait, tell, leave := pollTime, func() {}, func() {}
	if b.fleet != nil {
		wait = max(wait, time.Until(b.stopping.Add(answerTime)))
		const spare = 500 * time.Millisecond // for the rest of this
		telling, cancel := context.WithTimeout(context.Background(), wait-spare)
		defer cancel()
		tell, leave = func() { b.door.TellRest(telling) }, sync.OnceFunc(b.leaveFleet)
		b.door.TellUnheard()
	}
	over := time.After(wait)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		b.statuses.Wait()
		tell()
		leave() // until then others may want to know what comes of it
		b.statuses.Close()
	}()
	select {
	case <-closed:
	case <-over:
		leave()
	}
}

// observe hands a new observation on before anybody is answered with it: what has to
// be durable is, when it returns.
func (b *bridge) observe(v *session.Variant, o *session.Observation) {
	watched := false
	if b.fleet == nil || b.door.Observed(v, o) {
		watched = b.watcher.Observe(v, o)
	}
	b.longPolls.Observe(v, o, watched)
}

// errStale is why a watch learns nothing while the upstream fails.
var errStale = errors.New("the upstream gave no answer")

// ask is how watches poll: through the same door as clients.
func (b *bridge) ask(ctx context.Context, v *session.Variant, after time.Time) (*session.Observation, error) {
	return news(b.statuses.Refresh(ctx, v, after))
}

// fresh is for how long an observation serves: until the schedule wants another one.
func (b *bridge) fresh(v *session.Variant, o *session.Observation) time.Duration {
	return cmp.Or(b.watcher.Fresh(v, o), b.longPolls.Fresh(v, o))
}

// news is what a result says that is not stale.
func news(result cache.Result, err error) (*session.Observation, error) {
	switch {
	case err != nil:
		return nil, err
	case result.How == cache.Stale:
		return nil, cmp.Or(result.Err, errStale)
	}
	return result.Observation, nil
}

// refreshHeld is how held sessions are polled: clients wait for them. Another replica that looks after
// the session is asked, whatever it has said before: it polls more often while somebody waits.
func (b *bridge) refreshHeld(ctx context.Context, v *session.Variant) (at time.Time, ok bool) {
	get := b.statuses.Get
	if b.fleet != nil && !b.fleet.Holds(session.ID(b.store, v)) {
		get = b.statuses.Renew
	}
	o, err := news(get(ctx, v))
	if err != nil {
		return time.Time{}, false
	}
	return o.At, true
}

// unkeptCounts is how long a final answer that could not be stored keeps the program from
// being ready: then the engine's own word counts again, or nobody would ever send the answer
// that shows it is well.
const unkeptCounts = 10 * time.Second

// noteStore remembers whether final answers can be stored. One that is too large says
// nothing about that, and what the engine says of itself need not be remembered.
func (b *bridge) noteStore(err error) {
	switch {
	case err == nil:
		b.storeErr.Store(nil)
	case !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, store.ErrUnusable):
		b.storeErr.Store(new(time.Now()))
	}
}

func (b *bridge) ready() error {
	if b.draining.Load() {
		return errors.New("draining")
	}
	// Why is in the log: anybody may ask here.
	if b.store.Err() != nil {
		return errors.New("the store cannot be used")
	}
	if failed := b.storeErr.Load(); failed != nil && time.Since(*failed) < unkeptCounts {
		return errors.New("final answers cannot be stored")
	}
	return nil
}

func (b *bridge) registerGauges() {
	gauge := func(name, help string, value func() float64) {
		b.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("pollbridge_cache_entries", "Answers held in memory.", func() float64 { n, _ := b.statuses.Size(); return float64(n) })
	gauge("pollbridge_cache_bytes", "Bytes of memory that held answers take, approximately.", func() float64 { _, n := b.statuses.Size(); return float64(n) })
	gauge("pollbridge_finals_not_stored", "Final answers that are not stored yet: each is tried again.", func() float64 { return float64(b.unkept.Count()) })
	gauge("pollbridge_store_connected", "Whether the store can be used: 1 or 0.", func() float64 {
		if b.store.Err() != nil {
			return 0
		}
		return 1
	})
	if b.fleet != nil {
		gauge("pollbridge_replicas", "Replicas that this one sees, with itself.", func() float64 { return float64(len(b.fleet.Replicas())) })
		gauge("pollbridge_replicas_with_other_admin_keys", "Replicas whose admin.keys are not those of this one.", func() float64 { return float64(b.fleet.OtherKeys()) })
	}
	gauge("pollbridge_watches", "Sessions that are polled in the background.", func() float64 { return float64(b.longPolls.Held() + b.watcher.Live()) })
}

// start takes up what was left undone, listens and begins to answer. After an error
// nothing is left open.
func (b *bridge) start() error {
	err := b.listen()
	if err == nil {
		err = errors.Join(b.webhooks.Start(), b.watcher.Start(), b.startFleet())
	}
	if err != nil {
		b.closeListeners()
		b.undo()
		return err
	}
	b.serving.Go(func() { b.serve("public", b.public.Serve, b.publicListener) })
	b.serving.Go(func() { b.serve("admin", b.private.Serve, b.privateListener) })
	return nil
}

func (b *bridge) listen() (err error) {
	if b.publicListener, err = net.Listen("tcp", b.cfg.Proxy.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if b.privateListener, err = net.Listen("tcp", b.cfg.Admin.Listen); err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	return nil
}

func (b *bridge) closeListeners() {
	for _, ln := range []net.Listener{b.publicListener, b.privateListener} {
		if ln != nil {
			ln.Close()
		}
	}
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
	b.stopping = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if b.fleet != nil {
			b.webhooks.Stop() // others deliver
		}
		answering, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		public := make(chan struct{})
		go func() {
			defer close(public)
			b.step("public listener", b.public.Shutdown(answering))
		}()
		select {
		case <-public:
		case <-time.After(answerTime - callsLeft):
		}
		b.step("admin listener", b.private.Shutdown(answering))
		<-public
		b.closeListeners() // one that was not yet served when its server was shut down
		b.serving.Wait()
		b.undo()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		b.log.Warn("draining took too long and was cut short; the next start recovers the store")
	}
}

func (b *bridge) step(name string, err error) {
	if err != nil {
		b.log.Warn("shutdown step failed", "step", name, "error", err)
	}
}
