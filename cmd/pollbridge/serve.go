package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/config"
	"pollbridge/internal/logqueue"
)

// serveCmd stands in front of a signing API until it is told to stop.
type serveCmd struct {
	settings
}

// Run serves until ctx ends, then drains. Logs go to standard error.
func (c *serveCmd) Run(ctx context.Context) error {
	cfg, err := c.load(os.Environ())
	if err != nil {
		return err
	}
	// Or the first line of the log after its reader has gone would end the program.
	signal.Ignore(syscall.SIGPIPE)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // from now on until all has ended, or one would end the program
	defer signal.Stop(hangup)
	var log *slog.Logger
	queue := logqueue.New(os.Stderr, func(dropped int) { log.Warn("log lines were dropped: they were not read in time", "lines", dropped) })
	defer queue.Close(time.Second)
	log = slog.New(cfg.Log.Handler(queue))
	b, err := newBridge(ctx, setup{cfg: cfg, log: log})
	if err != nil {
		return ended(ctx, err)
	}
	b.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "pollbridge_log_lines_dropped_total", Help: "Log lines that were dropped because standard error did not take them in time.",
	}, func() float64 { return float64(queue.Dropped()) }))
	if err := b.start(); err != nil {
		return err
	}
	warnOfOpenKeys(cfg, log)
	tellTracing(cfg.Tracing, log)
	log.Info("pollbridge serves", "version", programVersion(), "upstream", b.upstream.Host(), "dialect", cfg.Dialect,
		"listen", b.publicListener.Addr().String(), "admin", b.privateListener.Addr().String())
	defer b.stop()
	takenUp := b.watcher.TakenUp()
	var fit <-chan time.Time // nothing until what was stored is in memory: a heap that grows is collected over and over
	for {
		select {
		case <-takenUp:
			takenUp = nil
			ticker := time.NewTicker(heapChecks)
			defer ticker.Stop()
			fit = ticker.C
		case <-fit:
			fitHeap()
		case <-hangup:
			log.Info("SIGHUP is ignored: settings are read at the start only, and renewed certificates are noticed without it")
		case <-ctx.Done():
			log.Info("draining", "reason", context.Cause(ctx))
			return nil
		case err := <-b.failed:
			return err
		}
	}
}

// warnOfOpenKeys names the files of keys that any user of this machine can read. A group
// may be meant to.
func warnOfOpenKeys(cfg *config.Config, log *slog.Logger) {
	for _, path := range []string{
		cfg.Store.Data.EncryptionKeyFile, filepath.Join(cfg.Store.Engine.Dir, "store.key"), filepath.Join(cfg.Store.Engine.Dir, "admin.key"), cfg.Proxy.TLS.KeyFile, cfg.Admin.TLS.KeyFile,
	} {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows" {
			log.Warn("every user of this machine can read this key file: restrict it with chmod 600, and replace the key if others may have read it",
				"file", path, "mode", info.Mode().Perm().String())
		}
	}
}
