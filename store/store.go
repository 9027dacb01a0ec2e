package store

import (
	"context"
	"errors"
	"log/slog"
)

// Store is the durable engine: NATS JetStream inside the process, without a network
// listener. It is safe for concurrent use. Create it with Open.
type Store struct{}

// Options is what a Store needs besides its configuration. All of it is needed.
type Options struct {
	Log *slog.Logger
}

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("store: not found")
	ErrConflict = errors.New("store: changed by somebody else meanwhile") // also: it exists already
	ErrTooLarge = errors.New("store: larger than can be kept")
	ErrLocked   = errors.New("store: the data directory is in use by another process")
	ErrDamaged  = errors.New("store: what is stored cannot be read") // a wrong key, or damage
)

// Open opens the engine in cfg.Dir, which it makes if it is not there, or fails with
// an error that says what to do: the directory is locked, read-only, full, or was
// encrypted with another key. It waits until what is stored can be used, no longer
// than ctx. The caller must Close it.
func Open(ctx context.Context, cfg Config, o Options) (*Store, error) { panic("store: not built yet") }

// Close flushes and stops the engine. Everything taken from queues must have been
// stopped before. It may be called once.
func (s *Store) Close() error { panic("store: not built yet") }

// Err is why the engine cannot be used now (disk full, directory gone), or nil. It
// does not block: the engine is checked in the background every second or so.
func (s *Store) Err() error { panic("store: not built yet") }

// ID derives an id from parts: prefix and 26 characters of a keyed hash, which says
// nothing about the parts to anybody without the store's key, and is the same as long
// as that key is. No two lists of parts are hashed alike.
func (s *Store) ID(prefix string, parts ...string) string { panic("store: not built yet") }
