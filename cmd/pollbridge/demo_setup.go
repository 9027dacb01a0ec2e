package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"pollbridge/config"
	"pollbridge/simulator"
)

// demoLoopback lets the kernel choose a port that only this machine reaches.
const demoLoopback = "127.0.0.1:0"

// demoSetup is the simulated upstream and the bridge in front of it.
type demoSetup struct {
	sim    *simulator.Simulator
	bridge *bridge
	failed chan error // the upstream's listener

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
	if err := s.startBridge(simulationURL(listener.Addr()), log); err != nil {
		s.stopSimulation()
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

func (s *demoSetup) startBridge(upstream string, log *slog.Logger) error {
	cfg := config.Default()
	cfg.Proxy.Listen, cfg.Admin.Listen = demoLoopback, demoLoopback
	cfg.Upstream.URL = upstream
	b, err := newBridge(cfg, log)
	if err != nil {
		return err
	}
	s.bridge = b
	return b.start()
}

// url is where clients find the bridge.
func (s *demoSetup) url() string { return simulationURL(s.bridge.publicListener.Addr()) }

// stop ends everything and waits for it.
func (s *demoSetup) stop() {
	s.sim.ClearFault() // or the bridge would wait for polls that hang
	s.bridge.stop()
	s.stopSimulation()
}

func (s *demoSetup) stopSimulation() {
	s.endSimulation()
	s.simulating.Wait()
}
