package main

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pollbridge/config"
	"pollbridge/internal/testkit"
	"pollbridge/store/engine"
	"pollbridge/webhook/delivery"
)

// BenchmarkStats is what each dashboard that is open asks for each second, and BenchmarkLists what
// it asks for as often where something has changed: with 10,000 sessions under watch.
func BenchmarkStats(b *testing.B) {
	bridge := watching(b, 10_000)
	for b.Loop() {
		_, err := bridge.stats(b.Context())
		testkit.NoError(b, err)
	}
}

func BenchmarkLists(b *testing.B) {
	bridge := watching(b, 10_000)
	b.Run("sessions", func(b *testing.B) {
		for b.Loop() {
			page, _, err := bridge.watcher.List(b.Context(), "", 0, 50)
			if err != nil || len(page) != 50 {
				b.Fatalf("%d sessions, %v", len(page), err)
			}
		}
	})
	b.Run("deliveries", func(b *testing.B) {
		for b.Loop() {
			_, _, err := bridge.webhooks.Deliveries(b.Context(), delivery.Filter{}, "", 50)
			testkit.NoError(b, err)
		}
	})
}

// watching returns a bridge that watches so many sessions, and does not poll for them.
func watching(b *testing.B, sessions int) *bridge {
	cfg := config.Default()
	cfg.Upstream.URL = "http://127.0.0.1:1"
	cfg.Proxy.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Store.Engine.Dir, cfg.Store.Engine.Sync = b.TempDir(), engine.SyncInterval
	cfg.Watch.Interval, cfg.Watch.Deadline = time.Hour, 2*time.Hour
	bridge, err := newBridge(b.Context(), setup{cfg: cfg, log: slog.New(slog.DiscardHandler)})
	testkit.NoError(b, err)
	testkit.NoError(b, bridge.start())
	b.Cleanup(bridge.stop)
	var registering sync.WaitGroup
	const at = 64
	for part := range at {
		registering.Go(func() {
			for n := part; n < sessions; n += at {
				v, err := bridge.table.Variant("smartid-sign", fmt.Sprint("token-", n), "sesame", "en")
				if err == nil {
					_, err = bridge.watches().Watch(b.Context(), v)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	registering.Wait()
	return bridge
}
