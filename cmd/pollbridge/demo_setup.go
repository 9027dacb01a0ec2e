package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"pollbridge/config"
	"pollbridge/simulator"
	"pollbridge/store"
)

// demoLoopback lets the kernel choose a port that only this machine reaches.
const demoLoopback = "127.0.0.1:0"

// demoSetup is the simulated upstream and the bridge in front of it.
type demoSetup struct {
	sim      *simulator.Simulator
	webhooks *demoWebhooks
	bridge   *bridge
	dir      string     // of the bridge; removed by stop
	failed   chan error // the upstream's listener

	endSimulation context.CancelFunc
	simulating    sync.WaitGroup
}

// newDemoSetup starts both. The caller must stop them.
func newDemoSetup(length time.Duration, log *slog.Logger) (*demoSetup, error) {
	sim, err := simulator.New(demoUpstream(length))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", demoLoopback)
	if err != nil {
		return nil, fmt.Errorf("simulated upstream: %w", err)
	}
	s := &demoSetup{sim: sim, failed: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background()) // until stop
	s.endSimulation = cancel
	s.simulating.Go(func() {
		if err := serveSimulation(ctx, sim, listener); err != nil {
			s.failed <- fmt.Errorf("simulated upstream: %w", err)
		}
	})
	if s.webhooks, err = newDemoWebhooks(sim); err == nil {
		err = s.startBridge(simulationURL(listener.Addr()), log)
	}
	if err != nil {
		s.clear()
		return nil, err
	}
	return s, nil
}

// demoUpstream answers as fast as the real one on a good day. People sign after a
// fifth of the demonstration, so that several signings fit into it.
func demoUpstream(length time.Duration) simulator.Config {
	cfg := simulator.DefaultConfig()
	cfg.SignAfter = simulator.LogNormal(min(length/5, 8*time.Second), 0.5)
	cfg.Latency = simulator.LogNormal(40*time.Millisecond, 0.3)
	cfg.FileSize = simulator.FixedSize(16 << 10)
	cfg.Outcomes = simulator.Outcomes{
		{Outcome: simulator.Succeeded, Weight: 90},
		{Outcome: simulator.Refused, Weight: 5},
		{Outcome: simulator.Expired, Weight: 3},
		{Outcome: simulator.Failed, Weight: 2},
	}
	return cfg
}

func (s *demoSetup) startBridge(upstream string, log *slog.Logger) (err error) {
	if s.dir, err = os.MkdirTemp("", "pollbridge-demo-"); err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Proxy.Listen, cfg.Admin.Listen = demoLoopback, demoLoopback
	cfg.Upstream.URL = upstream
	cfg.Store.Dir, cfg.Store.Sync = s.dir, store.SyncInterval // it is thrown away
	cfg.Webhook.AllowHTTP = true
	cfg.Webhook.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Webhook.AllowPorts = []int{s.webhooks.port()}
	b, err := newBridge(cfg, log)
	if err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	s.bridge = b
	ctx, cancel := context.WithTimeout(context.Background(), demoPatience)
	defer cancel()
	return s.webhooks.subscribe(ctx, b.webhooks)
}

// url is where clients find the bridge.
func (s *demoSetup) url() string { return simulationURL(s.bridge.publicListener.Addr()) }

// stop ends everything and waits for it.
func (s *demoSetup) stop() {
	s.sim.ClearFault() // or the bridge would wait for polls that hang
	s.clear()
}

// clear ends what was started.
func (s *demoSetup) clear() {
	if s.bridge != nil {
		s.bridge.stop()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
	if s.webhooks != nil {
		s.webhooks.stop()
	}
	s.endSimulation()
	s.simulating.Wait()
}
