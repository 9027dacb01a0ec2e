package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/store"
)

const (
	trialInterval = 3 * time.Second // between writes that only find out whether one can write
	againInterval = time.Second     // between them while one cannot
	trialTimeout  = 2 * time.Second
	leaveAfter    = 10 * time.Second // most elections are over by then
)

// Usable returns a context that lasts while what is written is kept. Its cause says why it has
// ended; when the cluster takes writes again, Usable returns another one.
func (c *Cluster) Usable() context.Context { return c.usable.Context() }

// Up returns a context that lasts while the connection does.
func (c *Cluster) Up() context.Context { return c.up.Context() }

// Err is why the cluster cannot be used now, or nil. It does not block.
func (c *Cluster) Err() error { return c.usable.Err() }

// Report tells that the cluster failed to write what was asked of it. One stream may fail where
// others do not, so that is looked at, not believed.
func (c *Cluster) Report(error) { c.look() }

func (c *Cluster) look() {
	select {
	case c.trouble <- struct{}{}:
	default:
	}
}

func (c *Cluster) fail(err error) {
	c.usable.End(fmt.Errorf("the NATS cluster: %w", err))
	c.look()
}

func (c *Cluster) disconnected(err error) {
	if c.ctx.Err() != nil {
		return
	}
	if err == nil {
		err = nats.ErrDisconnected
	}
	c.fail(fmt.Errorf("the connection is lost: %w", err))
	c.up.End(c.usable.Err())
}

func (c *Cluster) reconnected() {
	if c.up.Err() != nil {
		c.up.Begin()
	}
	c.look()
}

// watchHealth tries to write now and then until the connection is closed.
func (c *Cluster) watchHealth() {
	told := false
	left := time.Now() // when another server was last looked for, or there was no need to
	for {
		interval := trialInterval
		if c.Err() != nil {
			interval = againInterval
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.trouble:
		case <-time.After(interval):
		}
		if err := c.Err(); err != nil && !told {
			told = true
			c.log.Error("store is unusable", "error", err)
		}
		err := c.tryWrite(c.ctx)
		if err == nil {
			left = time.Now()
		}
		switch {
		case c.ctx.Err() != nil:
			return
		case err != nil:
			c.usable.End(fmt.Errorf("the NATS cluster: %w", store.Explained(err)))
			// The server may be parted from the others, which go on.
			if c.nc.IsConnected() && time.Since(left) > leaveAfter {
				left = time.Now()
				_ = c.nc.ForceReconnect()
			}
		case c.Err() != nil && c.up.Err() == nil:
			c.usable.Begin()
			if told {
				c.log.Info("store is usable again")
			}
			told = false
		}
	}
}

// trial is the stream for trial writes, and the one subject in it.
func (c *Cluster) trial() (stream, subject string) {
	return c.cfg.Prefix + "_TRIAL", c.cfg.Prefix + ".TRIAL"
}

func (c *Cluster) openTrial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	name, subject := c.trial()
	_, err := store.EnsureStream(ctx, c.js, jetstream.StreamConfig{
		Name: name, Subjects: []string{subject}, Replicas: c.cfg.Replicas, MaxMsgs: 1, Storage: jetstream.FileStorage,
	})
	return err
}

// tryWrite writes something small.
func (c *Cluster) tryWrite(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	_, subject := c.trial()
	_, err := c.js.Publish(ctx, subject, nil, jetstream.WithRetryAttempts(0))
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("a small write was not acknowledged within %s", trialTimeout)
	}
	return err
}
