package engine

import (
	"cmp"
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

	"pollbridge/internal/period"
)

// Engine is an embedded NATS server and the connection to it. It is safe for concurrent
// use. Create it with Open.
type Engine struct {
	cfg  Config
	log  *slog.Logger
	lock *os.File
	nc   *nats.Conn
	js   jetstream.JetStream
	own  jetstream.Stream // for trial writes

	opened bool        // so the lock says so, until the engine is closed
	broken atomic.Bool // the server has failed, and was not started anew since

	ctx     context.Context // ends with the engine
	stop    context.CancelFunc
	running sync.WaitGroup
	trouble chan struct{} // holds a token when there is something to look at
	usable  period.Period // until the server cannot write any more
	up      period.Period // until it is stopped, or the connection is lost
	cut     atomic.Bool   // up has ended as the connection was lost

	unclean bool // the server was not stopped in good order before it was started

	mu     sync.Mutex
	server *server.Server // guarded by mu; nil while it is down
}

// Options is what an Engine needs besides its configuration.
type Options struct {
	Log *slog.Logger // needed
	// Prepare, if there is one, is called when this process has locked the directory,
	// before the server is started. empty says that none ever ran there.
	Prepare func(dir string, empty bool) error
}

// Errors that callers branch on.
var (
	ErrLocked = errors.New("store: the data directory is in use by another process")
	ErrClosed = errors.New("store: the engine is closed")
)

// Open starts a server in cfg.Dir, which it makes if it is not there, or fails with an
// error that says what to do: the directory is locked, read-only or full. It waits until
// what is stored can be used, no longer than ctx. The caller must Close the engine.
func Open(ctx context.Context, cfg Config, o Options) (*Engine, error) {
	begun := time.Now()
	lock, err := openDirectory(cfg.Dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, log: o.Log, lock: lock, trouble: make(chan struct{}, 1)}
	e.usable.Begin()
	e.up.Begin()
	e.ctx, e.stop = context.WithCancel(context.Background())
	if err := e.open(ctx, o.Prepare); err != nil {
		return nil, errors.Join(err, e.shutdown())
	}
	if e.unclean {
		e.tellRecovered(ctx, time.Since(begun))
	}
	e.running.Go(e.watchHealth)
	return e, nil
}

func (e *Engine) open(ctx context.Context, prepare func(string, bool) error) error {
	if prepare != nil {
		empty, err := isEmpty(e.dir())
		if err != nil {
			return fmt.Errorf("store: read the data directory: %w", err)
		}
		if err := prepare(e.cfg.Dir, empty); err != nil {
			return err
		}
	}
	unclean, changed, err := howLeft(e.lock, e.dir())
	if err != nil {
		return err
	}
	files, err := e.start(ctx, unclean, changed)
	if err != nil {
		return err
	}
	if err := e.connect(); err != nil {
		return err
	}
	if err := e.openOwn(ctx); err != nil {
		return err
	}
	e.tellLosses(ctx, files)
	e.opened = true
	return markOpen(e.lock)
}

// tellRecovered logs that everything is there though the process that had the directory
// before did not close it.
func (e *Engine) tellRecovered(ctx context.Context, took time.Duration) {
	var streams int
	var size uint64
	if info, err := e.js.AccountInfo(ctx); err == nil {
		streams, size = info.Streams, info.Store
	}
	e.log.Info("recovered the store after an unclean stop", "streams", streams, "bytes", size, "took", took.Round(time.Millisecond))
}

func (e *Engine) dir() string { return filepath.Join(e.cfg.Dir, engineName) }

// start starts the server, which relies on its indexes if its files are unchanged. Else
// it returns the files that there were.
func (e *Engine) start(ctx context.Context, unclean, changed bool) (files map[string][]storedFile, err error) {
	timeout := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	if changed {
		if files, err = removeIndexes(e.dir()); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	started, err := startServer(e.cfg, e.dir(), &serverLog{log: e.log, rebuilds: unclean}, timeout)
	if err != nil {
		return nil, fmt.Errorf("store: start the embedded NATS server in %s: %w", e.dir(), err)
	}
	e.unclean = unclean
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = started
	return files, nil
}

func (e *Engine) stopServer() {
	e.mu.Lock()
	running := e.server
	e.server = nil
	e.mu.Unlock()
	if running != nil {
		stopServer(running)
	}
}

// runs returns the server that runs now, or nil.
func (e *Engine) runs() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server
}

func (e *Engine) connect() error {
	nc, err := nats.Connect("", nats.InProcessServer(e),
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ReconnectBufSize(-1), // what was not sent has failed
		nats.SyncQueueLen(1024),   // more than anybody asks for at a time; its memory is taken for each
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { e.disconnected(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { e.reconnected() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			e.log.Warn("connection to the embedded NATS server: error", "error", err)
		}))
	if err != nil {
		return fmt.Errorf("store: connect to the embedded NATS server: %w", err)
	}
	e.nc = nc
	e.js, err = jetstream.New(nc)
	return err
}

// disconnected is told that the connection was lost. What was on its way is lost, though the server
// runs: it gives up whoever does not read for long, such as a process that was stopped.
func (e *Engine) disconnected(err error) {
	if e.ctx.Err() == nil && e.up.Err() == nil {
		e.cut.Store(true)
		e.up.End(cmp.Or(err, nats.ErrDisconnected))
	}
}

func (e *Engine) reconnected() {
	if e.cut.Swap(false) {
		e.comesUp()
	}
}

// comesUp begins a period of up, unless one lasts.
func (e *Engine) comesUp() {
	if e.up.Err() != nil {
		e.up.Begin()
	}
}

// InProcessConn implements nats.InProcessConnProvider: it leads to the server that runs now.
func (e *Engine) InProcessConn() (net.Conn, error) {
	running := e.runs()
	if running == nil {
		return nil, errors.New("store: the embedded NATS server is down")
	}
	conn, err := running.InProcessConn()
	if err != nil {
		return nil, err
	}
	return newQueuedConn(conn), nil
}

// Conn is the connection to the server, until Close. It survives a server that is
// started anew; what was not sent at that moment has failed.
func (e *Engine) Conn() *nats.Conn { return e.nc }

// SyncsEach reports whether each write is synced by itself before it is acknowledged.
func (e *Engine) SyncsEach() bool { return e.cfg.Sync == SyncAlways }

// Close stops the server in good order. Whoever uses the connection must have stopped
// before. It may be called once. What a server leaves that has failed is checked by the
// next Open, as after a kill.
func (e *Engine) Close() error {
	e.stop()
	e.running.Wait()
	if e.Err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), trialTimeout)
		defer cancel()
		if e.noteLasts(ctx) != nil {
			e.broken.Store(true)
		}
	}
	e.usable.End(ErrClosed)
	e.up.End(ErrClosed)
	return e.shutdown()
}

func (e *Engine) shutdown() error {
	e.stop()
	if e.nc != nil {
		e.nc.Close()
	}
	e.stopServer()
	var err error
	// It may have failed while it stopped, too.
	if e.opened && !e.broken.Load() && tryDirectory(e.cfg.Dir, roomToOpen) == nil {
		err = markClosed(e.lock)
	}
	return errors.Join(err, leaveDirectory(e.lock))
}
