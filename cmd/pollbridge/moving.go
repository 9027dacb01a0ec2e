package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"pollbridge/config"
	"pollbridge/internal/check"
	"pollbridge/internal/period"
	"pollbridge/store"
	"pollbridge/store/engine"
)

// moving are the flags with which a command finds a store.
type moving struct {
	Config  string  `placeholder:"FILE" help:"YAML file with settings. No file is read unless it is named."`
	DataDir *string `placeholder:"DIR" help:"Directory of everything durable (store.dir)."`
}

const settingsHelp = "\n\nOf the settings of serve only store.* matters; it is read from the same places."

func (f moving) load() (*config.Config, error) {
	sources := config.Sources{File: f.Config, Env: os.Environ()}
	if f.DataDir != nil {
		sources.Flags = []config.Flag{{Name: "--data-dir", Key: "store.dir", Value: *f.DataDir}}
	}
	cfg, err := config.LoadStore(sources)
	if err == nil && f.DataDir != nil && cfg.Store.NATS.URL != "" {
		err = check.Mistake{Key: "store.dir", Problem: "is given, but store.nats.url is set, too: leave out one of them", Source: "flag --data-dir"}
	}
	return cfg, err
}

// moved is a store from which or to which all is moved.
type moved struct {
	store  *store.Store
	key    store.Key
	place  string // for people
	bridge *bridge
}

// openMoved opens a store, with further options. Where one has to exist none is made.
func openMoved(ctx context.Context, cfg *config.Config, further store.Options) (*moved, error) {
	b := &bridge{setup: setup{cfg: cfg, log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}}
	m := &moved{bridge: b, place: placeOf(cfg)}
	ctx, cancel := context.WithTimeout(ctx, openingTime)
	defer cancel()
	open := b.openShared
	if cfg.Store.NATS.URL == "" {
		open = b.openAlone
		if further.Existing && !engine.Exists(cfg.Store.Engine) {
			return nil, m.nothingStored()
		}
	}
	options, err := open(ctx)
	if errors.Is(err, engine.ErrLocked) {
		err = fmt.Errorf("%w: stop that first", err)
	}
	if err != nil {
		return nil, err
	}
	options.Log, options.Existing, options.Import = b.log, further.Existing, further.Import
	m.key = options.Key
	if m.store, err = store.Open(ctx, cfg.Store.Data, options); err != nil {
		b.undo()
		if errors.Is(err, store.ErrNotFound) {
			return nil, m.nothingStored()
		}
		return nil, b.whyNot(err)
	}
	b.closers = append(b.closers, m.store.Close)
	return m, nil
}

// allowed returns a context that ends with ctx, or when the servers do not allow something: what is not allowed
// is not answered either.
func (m *moved) allowed(ctx context.Context) (context.Context, context.CancelFunc) {
	if m.bridge.cluster == nil {
		return context.WithCancel(ctx)
	}
	return period.Either(ctx, m.bridge.cluster.Allowed())
}

func (m *moved) nothingStored() error { return fmt.Errorf("nothing was ever stored in %s", m.place) }

func (m *moved) close() { m.bridge.undo() }

func placeOf(cfg *config.Config) string {
	if cfg.Store.NATS.URL != "" {
		return "the fleet " + cfg.Store.NATS.Prefix
	}
	return absolute(cfg.Store.Engine.Dir)
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}
