package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

// Connection is a way to a server of NATS with JetStream: one inside the process
// (package engine), or a cluster of them.
type Connection interface {
	// Conn is the connection. It lasts as long as the store that uses it, and survives a
	// server that is started anew.
	Conn() *nats.Conn
	// Usable returns a context that lasts while what is written is kept; its cause says why
	// not. After its end Usable returns another one when writing is possible again.
	Usable() context.Context
	// Up returns a context that lasts while what the server does not keep on the disk, such
	// as consumers, is there.
	Up() context.Context
	// SyncsEach reports whether each write is synced by itself before it is acknowledged, so
	// that many at a time take as long as one after the other.
	SyncsEach() bool
	// Report tells that the server failed to write what was asked of it.
	Report(error)
}

// Store is durable data over a connection to JetStream. It is safe for concurrent use.
// Create it with Open.
type Store struct {
	cfg  Config
	log  *slog.Logger
	keys *keys
	conn Connection

	prefix   prefix
	replicas int
	shared   bool
	largest  int          // value that the server takes
	ahead    atomic.Int64 // the servers' clock, of this process's, in nanoseconds

	js jetstream.JetStream

	ctx     context.Context // ends with the store
	stop    context.CancelFunc
	running sync.WaitGroup
	closed  atomic.Bool // when all that ran has ended

	sending, taking *semaphore.Weighted // bound the bytes of large answers, see Answer and Ask

	sweepOnce sync.Once         // later, what looks unfinished may be under way
	keeping   [64]chan struct{} // each held by who changes the bodies of an owner
	owners    *owners           // of bodies
	journals  sync.Map          // each *Journal by its stream: one for all, so that all who wait hear of news
	writing   sync.Map          // each *writes by its stream

	anewMu sync.Mutex
	anew   bool      // EncryptAnew was called; guarded by anewMu, as below
	old    []*Bucket // for when it is

	followers *Bucket // where followers of journals are
	own       *Bucket // what the store keeps about itself
}

// Options is what a Store needs besides its configuration. All of it is needed.
type Options struct {
	Connection Connection // open until the store is closed
	Key        Key
	Log        *slog.Logger
	Prefix     string // of all names at the server; may be empty
	Replicas   int    // how many servers keep what is stored; 0: one
	Shared     bool   // other processes use what is stored at the same time
	Existing   bool   // fail with ErrNotFound where nothing was ever stored
	Import     bool   // open what an import has left half, too
}

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("store: not found")
	ErrConflict = errors.New("store: changed concurrently") // also: it exists already
	ErrTooLarge = errors.New("store: too large to be stored")
	ErrUnusable = errors.New("store: unusable at the moment")     // disk full or gone; it may come back
	ErrDamaged  = errors.New("store: stored data cannot be read") // a wrong key, or damage
)

var errClosed = errors.New("store: closed")

// Open opens what is stored behind a connection, or fails with an error that says what
// to do: it was encrypted with another key. It waits no longer than ctx. The caller must
// Close the store, and the connection after it.
func Open(ctx context.Context, cfg Config, o Options) (*Store, error) {
	s := &Store{cfg: cfg, log: o.Log, keys: newKeys(o.Key.secrets), conn: o.Connection, prefix: prefix(o.Prefix), replicas: max(1, o.Replicas), shared: o.Shared, owners: newOwners(cfg.Retain)}
	s.sending, s.taking = semaphore.NewWeighted(mostLarge), semaphore.NewWeighted(mostLarge)
	s.largest = min(maxValue, int(s.conn.Conn().MaxPayload())-aroundValue)
	for i := range s.keeping {
		s.keeping[i] = make(chan struct{}, 1)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.open(ctx, o); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, o Options) (err error) {
	if s.js, err = jetstream.New(s.conn.Conn()); err != nil {
		return err
	}
	if o.Existing {
		if there, err := s.isThere(ctx); err != nil || !there {
			return cmp.Or(err, ErrNotFound)
		}
	}
	if s.own, err = s.openBucket(ctx, BucketConfig{Name: "own"}, "OWN_"); err != nil {
		return err
	}
	writer, err := s.checkKey(ctx, o.Key)
	if err != nil {
		return err
	}
	if err := s.checkFormat(ctx); err != nil {
		return err
	}
	if err := s.openIDs(ctx, o.Key, writer); err != nil {
		return err
	}
	if !o.Import {
		if err := s.isWhole(ctx); err != nil {
			return err
		}
	}
	if err := s.own.encryptAnewInTime(ctx); err != nil { // last: with which key it was tells what ids are derived from
		return err
	}
	if s.followers, err = s.openBucket(ctx, BucketConfig{Name: "followers"}, "OWN_"); err != nil {
		return err
	}
	return s.followers.encryptAnewInTime(ctx)
}

// Shared reports whether other processes use what is stored at the same time.
func (s *Store) Shared() bool { return s.shared }

// Close ends who watches, follows and waits, and returns when they have ended. Everything
// taken from queues must have been stopped before. It may be called more than once. The
// connection stays open.
func (s *Store) Close() {
	s.stop()
	s.running.Wait()
	s.closed.Store(true)
}

// ID derives an id from parts: prefix and 26 characters of a keyed hash, which says
// nothing about the parts to anybody without the store's key, and is the same as long
// as that key is. No two lists of parts are hashed alike.
// It stays when another key comes before that one.
func (s *Store) ID(prefix string, parts ...string) string { return prefix + s.keys.hash(parts...) }

// KeyNames tells the keys that the store can decrypt with, in their order, from others. It encrypts with the first one.
func (s *Store) KeyNames() (names []string) {
	for _, each := range s.keys.seals {
		names = append(names, hex.EncodeToString(each.name[:]))
	}
	return names
}

// Hash derives a token of a key from parts, as ID derives an id.
func (s *Store) Hash(parts ...string) string { return s.keys.hash(parts...) }
