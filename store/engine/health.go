package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	lookInterval  = time.Second     // between looks at the directory and at the server's health
	trialInterval = 5 * time.Second // between writes that only find out whether one can write
	trialTimeout  = 5 * time.Second
	roomToGoOn    = 4 << 20 // on a disk that was full: it shall not be so again at once
)

// Usable returns a context that lasts while what is written is kept. Its cause says why
// it has ended; when the server can write again, Usable returns another one.
func (e *Engine) Usable() context.Context { return e.usable.Context() }

// Up returns a context that lasts while the server runs. What that does not keep on the
// disk, such as consumers, ends with it; one that cannot write can still be read.
func (e *Engine) Up() context.Context { return e.up.Context() }

// Err is why the engine cannot be used now (disk full, directory gone), or nil. It does
// not block: the engine looks after itself in the background, every second or so.
func (e *Engine) Err() error { return e.usable.Err() }

// Report tells the engine that it failed to write what was asked of it. It is believed:
// nothing is written until the server has been started anew.
func (e *Engine) Report(err error) { e.fail(err) }

// fail notes that the engine cannot be used. Only the first reason counts.
func (e *Engine) fail(err error) {
	e.broken.Store(true)
	e.usable.End(fmt.Errorf("the engine in %s: %w", e.dir(), err))
	select {
	case e.trouble <- struct{}{}:
	default:
	}
}

// watchHealth looks after the server until the engine is closed.
func (e *Engine) watchHealth() {
	started, err := os.Stat(e.dir())
	if err != nil {
		e.fail(err)
	}
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	lastTrial := time.Now()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-ticker.C:
		case <-e.trouble:
			if e.Err() == nil {
				continue // of before the server was started anew
			}
		}
		if e.Err() != nil {
			e.log.Error("store is unusable", "error", e.Err())
			if !e.revive(started, ticker) {
				return
			}
			e.log.Info("store is usable again")
			lastTrial = time.Now()
			continue
		}
		if err := errors.Join(sameDirectory(started, e.dir()), e.unwell()); err != nil {
			e.fail(err)
		} else if time.Since(lastTrial) >= trialInterval {
			lastTrial = time.Now()
			e.tryWrite()
		}
	}
}

func sameDirectory(started os.FileInfo, dir string) error {
	now, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !os.SameFile(started, now) {
		return errors.New("the directory was replaced by another one")
	}
	return nil
}

// unwell returns what the server says is wrong with itself: a stream that could not write
// once takes nothing any more, and answers nobody who writes to it.
func (e *Engine) unwell() error {
	// Of a stream that is being made, the server says that it could not be recovered. So it
	// does of one that it could not read when it started, and that is told as a loss.
	ctx, cancel := context.WithTimeout(e.ctx, lookInterval)
	defer cancel()
	known := map[string]bool{}
	for name := range e.js.StreamNames(ctx).Name() {
		known[name] = true
	}
	for _, found := range e.runs().Healthz(&server.HealthzOptions{Details: true}).Errors {
		if found.Type == server.HealthzErrorJetStream || found.Type == server.HealthzErrorStream && known[found.Stream] {
			return errors.New(found.Error)
		}
	}
	return nil
}

// tryWrite writes something small. An engine that cannot says so by failing.
func (e *Engine) tryWrite() {
	ctx, cancel := context.WithTimeout(e.ctx, trialTimeout)
	defer cancel()
	err := e.noteLasts(ctx)
	switch {
	case err == nil, e.ctx.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		e.log.Warn("store is slow: a small write was not finished in time", "limit", trialTimeout)
	default:
		e.fail(err)
	}
}

// revive starts the server anew as soon as the directory can be written. It returns
// false when the engine is closed meanwhile.
func (e *Engine) revive(started os.FileInfo, ticker *time.Ticker) bool {
	for {
		select {
		case <-e.ctx.Done():
			return false
		case <-ticker.C:
		}
		if sameDirectory(started, e.dir()) != nil || tryDirectory(e.cfg.Dir, roomToGoOn) != nil {
			continue
		}
		if err := e.restart(); err != nil {
			e.broken.Store(true)
			e.log.Error("store is still unusable", "error", err)
			continue
		}
		e.usable.Begin()
		e.tryWrite()
		if e.Err() == nil {
			return true
		}
	}
}

// restart starts the server anew and waits until it is reached.
func (e *Engine) restart() error {
	e.up.End(e.Err())
	e.stopServer()
	e.broken.Store(false) // until the next one fails, perhaps while it starts
	ctx, cancel := context.WithTimeout(e.ctx, time.Minute)
	defer cancel()
	files, err := e.start(ctx, true, true)
	if err != nil {
		return err
	}
	for e.nc.Status() != nats.CONNECTED {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := e.nc.FlushWithContext(ctx); err != nil {
		return err
	}
	if err := e.openOwn(ctx); err != nil {
		return err
	}
	e.tellLosses(ctx, files)
	e.comesUp()
	return nil
}
