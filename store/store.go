package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Store is the durable engine: NATS JetStream inside the process, without a network
// listener. It is safe for concurrent use. Create it with Open.
type Store struct {
	cfg  Config
	log  *slog.Logger
	keys *keys
	lock *os.File
	nc   *nats.Conn
	js   jetstream.JetStream

	opened bool        // so the lock says so, until the store is closed
	broken atomic.Bool // the engine has failed, and was not started anew since

	ctx     context.Context // ends with the store
	stop    context.CancelFunc
	running sync.WaitGroup
	trouble chan struct{}          // holds a token when there is something to look at
	usable  atomic.Pointer[period] // until the engine cannot be written any more
	up      atomic.Pointer[period] // until it is stopped

	sweepOnce sync.Once         // later, what looks unfinished may be under way
	keeping   [64]chan struct{} // each held by who changes the final answers of a session
	journals  sync.Map          // each *Journal by its stream: one for all, so that all who wait hear of news
	queues    sync.Map          // each *Queue by its stream: one for all, which knows what is out

	mu        sync.Mutex
	engine    *server.Server          // guarded by mu, as all below; nil while it is down
	unclean   bool                    // it was not stopped in good order the last time
	followers *Table                  // where followers of journals are
	own       *Table                  // what the store keeps about itself
	files     map[string][]storedFile // of streams, before the engine read them
	lasts     map[string]uint64       // how far streams went when that was last noted
}

// Options is what a Store needs besides its configuration. All of it is needed.
type Options struct {
	Log *slog.Logger
}

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("store: not found")
	ErrConflict = errors.New("store: changed concurrently") // also: it exists already
	ErrTooLarge = errors.New("store: too large to be stored")
	ErrLocked   = errors.New("store: the data directory is in use by another process")
	ErrUnusable = errors.New("store: unusable at the moment")     // disk full or gone; it may come back
	ErrDamaged  = errors.New("store: stored data cannot be read") // a wrong key, or damage
)

// Open opens the engine in cfg.Dir, which it makes if it is not there, or fails with
// an error that says what to do: the directory is locked, read-only, full, or was
// encrypted with another key. It waits until what is stored can be used, no longer
// than ctx. The caller must Close it.
func Open(ctx context.Context, cfg Config, o Options) (*Store, error) {
	begun := time.Now()
	lock, err := openDirectory(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, log: o.Log, lock: lock, trouble: make(chan struct{}, 1)}
	s.usable.Store(newPeriod())
	s.up.Store(newPeriod())
	for i := range s.keeping {
		s.keeping[i] = make(chan struct{}, 1)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.shutdown())
	}
	if s.unclean {
		s.tellRecovered(ctx, time.Since(begun))
	}
	s.opened = true
	s.running.Go(s.watchHealth)
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	secret, path, err := loadKey(s.cfg)
	if err != nil {
		return err
	}
	s.keys = newKeys(secret)
	unclean, changed, err := howLeft(s.lock, s.engineDir())
	if err != nil {
		return err
	}
	if err := s.startEngine(ctx, unclean, changed); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	if s.own, err = s.openTable(ctx, TableConfig{Name: "own"}, "OWN_"); err != nil {
		return err
	}
	if err := s.checkKey(ctx, path); err != nil {
		return err
	}
	s.readLasts(ctx)
	if s.followers, err = s.openTable(ctx, TableConfig{Name: "followers"}, "OWN_"); err != nil {
		return err
	}
	return markOpen(s.lock)
}

// tellRecovered logs that everything is there though the process that had the store
// before did not close it.
func (s *Store) tellRecovered(ctx context.Context, took time.Duration) {
	var streams int
	var size uint64
	if info, err := s.js.AccountInfo(ctx); err == nil {
		streams, size = info.Streams, info.Store
	}
	s.log.Info("recovered the store after an unclean stop", "streams", streams, "bytes", size, "took", took.Round(time.Millisecond))
}

func (s *Store) engineDir() string { return filepath.Join(s.cfg.Dir, engineName) }

// startEngine starts the engine, which relies on its indexes if its files are unchanged.
func (s *Store) startEngine(ctx context.Context, unclean, changed bool) error {
	patience := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	var files map[string][]storedFile
	var err error
	if changed {
		if files, err = removeIndexes(s.engineDir()); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	engine, err := startEngine(s.cfg, s.engineDir(), &engineLog{log: s.log, failed: s.fail, rebuilds: unclean}, patience)
	if err != nil {
		return fmt.Errorf("store: start the embedded NATS server in %s: %w", s.engineDir(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine, s.unclean, s.files = engine, unclean, files
	return nil
}

func (s *Store) stopEngine() {
	s.mu.Lock()
	engine := s.engine
	s.engine = nil
	s.mu.Unlock()
	if engine != nil {
		stopEngine(engine)
	}
}

func (s *Store) connect() error {
	nc, err := nats.Connect("", nats.InProcessServer(doorway{s}),
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ReconnectBufSize(-1),     // what was not sent has failed
		nats.SyncQueueLen(4*maxBatch), // more than a scan asks for at a time; its memory is taken for each
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("connection to the embedded NATS server: error", "error", err)
		}))
	if err != nil {
		return fmt.Errorf("store: connect to the embedded NATS server: %w", err)
	}
	s.nc = nc
	s.js, err = jetstream.New(nc)
	return err
}

// doorway leads to the engine that runs now.
type doorway struct{ s *Store }

// InProcessConn implements nats.InProcessConnProvider.
func (d doorway) InProcessConn() (net.Conn, error) {
	d.s.mu.Lock()
	engine := d.s.engine
	d.s.mu.Unlock()
	if engine == nil {
		return nil, errors.New("store: the embedded NATS server is down")
	}
	return engine.InProcessConn()
}

// checkKey finds out whether what is stored was encrypted with the store's key.
func (s *Store) checkKey(ctx context.Context, path string) error {
	_, err := s.own.Get(ctx, "check")
	if errors.Is(err, ErrNotFound) {
		_, err = s.own.Create(ctx, "check", []byte("pollbridge"), 0)
	}
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: the data in %s was encrypted with another key than that in %s: put the right key there", ErrDamaged, s.cfg.Dir, path)
	}
	return err
}

// Close flushes and stops the engine. Everything taken from queues must have been
// stopped before. It ends who watches and follows, and waits for them. It may be called
// once. What an engine leaves that has failed is checked by the next Open, as after a
// kill.
func (s *Store) Close() error {
	s.stop()
	s.running.Wait()
	if s.Err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), trialTimeout)
		defer cancel()
		s.noteLasts(ctx) // else those of the last trial count
	}
	s.usable.Load().end(errClosed)
	s.up.Load().end(errClosed)
	return s.shutdown()
}

func (s *Store) shutdown() error {
	s.stop()
	if s.nc != nil {
		s.nc.Close()
	}
	s.stopEngine()
	var err error
	if s.opened && !s.broken.Load() { // it may have failed while it stopped, too
		err = markClosed(s.lock)
	}
	return errors.Join(err, leaveDirectory(s.lock))
}

// ID derives an id from parts: prefix and 26 characters of a keyed hash, which says
// nothing about the parts to anybody without the store's key, and is the same as long
// as that key is. No two lists of parts are hashed alike.
func (s *Store) ID(prefix string, parts ...string) string { return prefix + s.keys.hash(parts...) }
