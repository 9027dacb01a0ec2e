package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"pollbridge/internal/lines"
)

// serveCmd stands in front of a signing API until it is told to stop.
type serveCmd struct {
	settings
}

// logDelay is how long a line of the log may wait for others.
const logDelay = 100 * time.Millisecond

// Run serves until ctx ends, then drains. Logs go to standard error.
func (c *serveCmd) Run(ctx context.Context) error {
	cfg, err := c.load(os.Environ())
	if err != nil {
		return err
	}
	gathered := lines.New(os.Stderr, logDelay)
	defer gathered.Flush()
	log := slog.New(cfg.Log.Handler(gathered))
	b, err := newBridge(cfg, log)
	if err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	log.Info("pollbridge serves", "version", programVersion(), "upstream", b.upstream.Host(), "dialect", cfg.Dialect,
		"listen", b.publicListener.Addr().String(), "admin", b.privateListener.Addr().String())
	defer b.stop()
	takenUp := b.watcher.TakenUp()
	for {
		select {
		case <-takenUp:
			tightenHeap()
			takenUp = nil
		case <-ctx.Done():
			log.Info("draining", "reason", context.Cause(ctx))
			return nil
		case err := <-b.failed:
			return err
		}
	}
}

// tightenHeap is for when what was stored is in memory, and not before: a heap that
// grows is collected over and over, and more often if it is tight. After that, what is
// remembered is long-lived and answering from it allocates next to nothing: a tight
// heap costs little and saves an eighth of the memory.
func tightenHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(75)
	}
}
