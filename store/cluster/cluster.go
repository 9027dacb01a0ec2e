package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
	"pollbridge/store"
)

// Cluster is a connection to the JetStream of a NATS cluster. It is safe for concurrent use.
// Create it with Open.
type Cluster struct {
	cfg Config
	log *slog.Logger
	nc  *nats.Conn
	js  jetstream.JetStream

	ctx     context.Context // ends with the connection
	stop    context.CancelFunc
	running sync.WaitGroup
	trouble chan struct{} // holds a token when there is something to look at
	usable  period.Period // while a trial write is acknowledged in time
	up      period.Period // while the connection lasts
	denied  atomic.Pointer[final]
	allowed context.Context // ends when the servers do not allow something
	deny    context.CancelFunc
}

// ErrClosed says that the connection was closed.
var ErrClosed = errors.New("store: the connection to the NATS cluster is closed")

// Open connects to a cluster, or fails with an error that says what to do: it cannot be reached,
// it is too old, it has no JetStream, or the user may not do what is needed. It tries again for
// as long as ctx lasts where that can help. The caller must Close it.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Cluster, error) {
	c := &Cluster{cfg: cfg, log: log, trouble: make(chan struct{}, 1)}
	c.usable.Begin()
	c.up.Begin()
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.allowed, c.deny = context.WithCancel(context.Background())
	if err := c.open(ctx); err != nil {
		c.stop()
		if c.nc != nil {
			c.nc.Close()
		}
		return nil, err
	}
	c.running.Go(c.watchHealth)
	return c, nil
}

func (c *Cluster) open(ctx context.Context) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	if err := c.suits(ctx); err != nil {
		return err
	}
	return c.again(ctx, func(ctx context.Context) error {
		err := c.openTrial(ctx)
		if err == nil {
			err = c.tryWrite(ctx)
		}
		if err == nil {
			return nil
		}
		err = fmt.Errorf("store: write to the NATS cluster: %w", store.Explained(err))
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == notClustered {
			return final{err}
		}
		return err
	})
}

// notClustered is what a server says of replicas that is no member of a cluster.
const notClustered = 10074

// ErrRefused is for what does not go by itself: somebody has to change something.
var ErrRefused = errors.New("refused")

// final is such an error, in its own words.
type final struct{ error }

func (f final) Unwrap() []error { return []error{f.error, ErrRefused} }

// again calls f until it succeeds, fails for good, or ctx ends. f is cut short when the servers
// say that the user may not do what it does.
func (c *Cluster) again(ctx context.Context, f func(context.Context) error) error {
	const pause = 500 * time.Millisecond
	var last error // why it failed the time before
	for told := false; ; told = true {
		if c.Err() != nil { // the connection was lost, and may be back
			c.usable.Begin()
		}
		allowed, cancel := period.Either(ctx, c.Usable())
		err := f(allowed)
		cancel()
		if denied := c.Denied(); err != nil && denied != nil {
			return denied
		}
		if _, isFinal := errors.AsType[final](err); err == nil || isFinal {
			return err
		}
		if ctx.Err() != nil && last != nil {
			return last // ctx left this attempt no time to find out
		}
		last = err
		if !told {
			c.log.Warn("the NATS cluster cannot be used yet, trying again", "error", err)
		}
		if period.Pause(ctx, pause) != nil {
			return err
		}
	}
}

// Allowed returns a context that ends, for good, when the servers have not allowed something; Denied says what.
// Close does not end it.
func (c *Cluster) Allowed() context.Context { return c.allowed }

// Denied is what the servers last did not allow, if there is anything. Whoever waited for it may
// have heard nothing.
func (c *Cluster) Denied() error {
	if denied := c.denied.Load(); denied != nil {
		return fmt.Errorf("store: the NATS cluster: %w", *denied)
	}
	return nil
}

// Conn is the connection, until Close. It goes to another server by itself; what was not sent
// at that moment has failed.
func (c *Cluster) Conn() *nats.Conn { return c.nc }

// SyncsEach is false: what comes at the same time the servers write together.
func (c *Cluster) SyncsEach() bool { return false }

// Close ends the connection. Whoever uses it must have stopped before. It may be called once.
func (c *Cluster) Close() error {
	c.stop()
	c.running.Wait()
	c.usable.End(ErrClosed)
	c.up.End(ErrClosed)
	c.nc.Close()
	return nil
}
