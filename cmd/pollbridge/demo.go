package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/config"
	"pollbridge/internal/check"
	"pollbridge/simulator"
	"pollbridge/store/engine"
	"pollbridge/webhook"
)

// demoCmd shows what the bridge does, without any upstream.
type demoCmd struct {
	Duration time.Duration `help:"How long it takes. The simulated upstream is down in the middle of it." default:"30s"`
	Clients  int           `help:"Clients that poll." default:"50"`
	Sessions int           `help:"Signings under way at a time." default:"20"`
}

// Validate returns all mistakes, joined.
func (c *demoCmd) Validate() error {
	var m check.Mistakes
	m.Want(c.Duration >= 5*time.Second, "--duration", c.Duration, "5s or more")
	m.Want(c.Clients >= 1 && c.Clients <= 5000, "--clients", c.Clients, "1 to 5000")
	m.Want(c.Sessions >= 1 && c.Sessions <= 1000, "--sessions", c.Sessions, "1 to 1000")
	return m.Err()
}

// Run shows the demonstration on out until it is over or ctx ends, and leaves the table as
// its summary. Nothing that it started is left when it returns.
func (c *demoCmd) Run(ctx context.Context, out io.Writer) error {
	d := &demo{cmd: c, signings: make([]atomic.Pointer[demoSigning], c.Sessions)}
	defer d.stop()
	if err := d.start(ctx); err != nil {
		return ended(ctx, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Duration)
	defer d.clients.Wait()
	defer cancel()
	d.startClients(ctx)
	return d.show(ctx, &demoTable{out: out, terminal: isTerminal(out)})
}

// demo is a simulated upstream, the bridge in front of it, clients and a receiver of
// webhooks.
type demo struct {
	cmd         *demoCmd
	sim         *simulator.Simulator
	server      *http.Server // of the upstream and of the receiver
	bridge      *bridge
	dir, secret string // of the bridge, and of its subscription
	http        *http.Client
	clients     sync.WaitGroup

	signings []atomic.Pointer[demoSigning] // those under way
	// starting is read-locked from the start of a signing until its first poll was
	// answered. The outage waits for that: the bridge carries signings that it knows
	// through an outage, and has nothing to say about any other.
	starting sync.RWMutex

	mu   sync.Mutex
	seen demoFigures // guarded by mu
}

// start starts everything but the clients; ctx governs only that. The caller must stop it, after an
// error too.
func (d *demo) start(ctx context.Context) (err error) {
	d.sim, err = simulator.New(simulator.Config{ // as fast as the real one on a good day
		SignAfter: simulator.LogNormal(min(d.cmd.Duration/5, 8*time.Second), 0.5), // several signings fit into it
		Latency:   simulator.LogNormal(40*time.Millisecond, 0.3),
		FileSize:  16 << 10,
		Outcomes:  simulator.Outcomes{simulator.Succeeded: 90, simulator.Refused: 5, simulator.Expired: 3, simulator.Failed: 2},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler := http.NewServeMux()
	handler.Handle("/", d.sim)
	handler.HandleFunc("POST /webhooks", d.receive)
	d.server = &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = d.server.Serve(listener) }() // ends with stop

	if d.dir, err = os.MkdirTemp("", "pollbridge-demo-"); err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Proxy.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Upstream.URL = localURL(listener.Addr().String())
	cfg.Store.Engine = engine.Config{Dir: d.dir, Sync: engine.SyncInterval} // it is thrown away
	cfg.Webhook.AllowHTTP, cfg.Webhook.AllowNetworks = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Webhook.AllowPorts = []int{listener.Addr().(*net.TCPAddr).Port}
	b, err := newBridge(ctx, setup{cfg: cfg, log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = b.start()
	}
	if err != nil {
		return err
	}
	d.bridge = b
	subscribed, err := b.webhooks.Create(ctx, webhook.NewSubscription{URL: cfg.Upstream.URL + "/webhooks"})
	d.secret = subscribed.Secret
	return err
}

// stop ends everything but the clients, in reverse order.
func (d *demo) stop() {
	if d.sim != nil {
		d.sim.Close() // first, or the bridge would wait for polls that hang
	}
	if d.bridge != nil {
		d.bridge.stop()
	}
	if d.server != nil {
		d.server.Close()
	}
	os.RemoveAll(d.dir)
}

// show shows the figures until ctx ends, which is no error, or something fails.
func (d *demo) show(ctx context.Context, table *demoTable) (err error) {
	began := time.Now()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil && err == nil {
		select {
		case <-tick.C:
			table.show(d.figures(time.Since(began)), false)
		case err = <-d.bridge.failed:
		case <-ctx.Done():
		}
	}
	table.show(d.figures(time.Since(began)), true)
	return err
}

func (d *demo) figures(elapsed time.Duration) demoFigures {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.seen
	f.elapsed, f.sent, f.breaker = min(elapsed, d.cmd.Duration), d.sim.Stats().Polls, d.bridge.upstream.Breaker()
	return f
}
