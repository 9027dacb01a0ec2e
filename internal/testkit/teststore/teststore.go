// Package teststore opens a store as the program does: on an engine of its own.
package teststore

import (
	"context"
	"errors"
	"log/slog"

	"pollbridge/store"
	"pollbridge/store/engine"
)

// Store is a store and the engine below it.
type Store struct {
	*store.Store
	Engine *engine.Engine

	cfg store.Config
	key store.Key
	log *slog.Logger
}

// In is an engine in a directory, which waits for no disk.
func In(dir string) engine.Config { return engine.Config{Dir: dir, Sync: engine.SyncInterval} }

// Open opens an engine and a store on it. After an error nothing is left open.
func Open(ctx context.Context, where engine.Config, cfg store.Config, log *slog.Logger) (*Store, error) {
	var key store.Key
	running, err := engine.Open(ctx, where, engine.Options{Log: log, Prepare: func(dir string, empty bool) (err error) {
		key, err = store.LoadKey(cfg, dir, empty)
		return err
	}})
	if err != nil {
		return nil, err
	}
	opened, err := store.Open(ctx, cfg, store.Options{Connection: running, Key: key, Log: log})
	if err != nil {
		return nil, errors.Join(err, running.Close())
	}
	return &Store{opened, running, cfg, key, log}, nil
}

// OpenShared opens the same once more, as one of several processes that share it. The caller must
// Close it, before the engine.
func (s *Store) OpenShared(ctx context.Context, log *slog.Logger) (*store.Store, error) {
	return store.Open(ctx, s.cfg, store.Options{Connection: s.Engine, Key: s.key, Log: log, Shared: true})
}

// OpenHanging opens the same once more, on a disk that may hang. The caller must Close it and
// then CloseConn that, before the engine.
func (s *Store) OpenHanging(ctx context.Context) (*store.Store, *Hanging, error) {
	disk, err := Through(s.Engine)
	if err != nil {
		return nil, nil, err
	}
	opened, err := store.Open(ctx, s.cfg, store.Options{Connection: disk, Key: s.key, Log: s.log})
	if err != nil {
		disk.CloseConn()
	}
	return opened, disk, err
}

// Close closes the store and then the engine.
func (s *Store) Close() error {
	s.Store.Close()
	return s.Engine.Close()
}
