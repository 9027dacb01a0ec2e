package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	lookInterval  = time.Second     // between looks at the directory
	trialInterval = 5 * time.Second // between writes that only find out whether one can write
	trialTimeout  = 5 * time.Second
	roomToGoOn    = 4 << 20 // on a disk that was full: it shall not be so again at once
)

var errClosed = errors.New("store: closed")

// period is a time that ends for a reason.
type period struct {
	context.Context
	end context.CancelCauseFunc
}

func newPeriod() *period {
	ctx, end := context.WithCancelCause(context.Background())
	return &period{ctx, end}
}

// Err is why the engine cannot be used now (disk full, directory gone), or nil. It
// does not block: the engine is checked in the background every second or so.
func (s *Store) Err() error {
	return context.Cause(s.usable.Load())
}

// fail notes that the engine cannot be used. Only the first reason counts.
func (s *Store) fail(err error) {
	s.broken.Store(true)
	s.usable.Load().end(fmt.Errorf("%w: the engine in %s: %w", ErrUnusable, s.engineDir(), err))
	select {
	case s.trouble <- struct{}{}:
	default:
	}
}

// use returns the context for one call that writes, or that depends on what was
// written: it ends with ctx, after a while, and when the engine fails. The error says
// that it has.
func (s *Store) use(ctx context.Context) (context.Context, context.CancelFunc, error) {
	usable := s.usable.Load()
	if err := context.Cause(usable); err != nil {
		return nil, nil, err
	}
	ctx, cancel := during(ctx, usable)
	return ctx, cancel, nil
}

// look is use for a call that only reads: an engine that cannot write can still do
// that.
func (s *Store) look(ctx context.Context) (context.Context, context.CancelFunc) {
	return during(ctx, s.up.Load())
}

func during(ctx context.Context, p *period) (context.Context, context.CancelFunc) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	stop := context.AfterFunc(p, cancel)
	return ctx, func() { stop(); cancel() }
}

// either returns a context that ends with one of two.
func either(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() { stop(); cancel() }
}

// insist calls f again whenever it has returned, until ctx ends. What f gets ends with the
// engine, too: what that does not keep on the disk, such as consumers, is gone then.
func (s *Store) insist(ctx context.Context, f func(context.Context) error, failed func(error)) {
	const pause = 250 * time.Millisecond
	for ctx.Err() == nil {
		running, cancel := either(ctx, s.up.Load())
		err := f(running)
		if err != nil && running.Err() == nil && s.Err() == nil {
			failed(err)
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// watchHealth looks after the engine until the store is closed.
func (s *Store) watchHealth() {
	started, err := os.Stat(s.engineDir())
	if err != nil {
		s.fail(err)
	}
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	lastTrial := time.Now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		case <-s.trouble:
			if s.Err() == nil {
				continue // of before the engine was started anew
			}
		}
		if s.Err() != nil {
			s.log.Error("store is unusable", "error", s.Err())
			if !s.revive(started, ticker) {
				return
			}
			s.log.Info("store is usable again")
			lastTrial = time.Now()
			continue
		}
		if err := sameDirectory(started, s.engineDir()); err != nil {
			s.fail(err)
		} else if time.Since(lastTrial) >= trialInterval {
			lastTrial = time.Now()
			s.tryWrite()
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

// tryWrite writes something small. An engine that cannot says so by failing.
func (s *Store) tryWrite() {
	ctx, cancel := context.WithTimeout(s.ctx, trialTimeout)
	defer cancel()
	err := s.noteLasts(ctx)
	switch {
	case err == nil, s.ctx.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("store is slow: a small write was not finished in time", "limit", trialTimeout)
	default:
		s.fail(err)
	}
}

// revive starts the engine anew as soon as the directory can be written. It returns
// false when the store is closed meanwhile.
func (s *Store) revive(started os.FileInfo, ticker *time.Ticker) bool {
	for {
		select {
		case <-s.ctx.Done():
			return false
		case <-ticker.C:
		}
		if sameDirectory(started, s.engineDir()) != nil || tryDirectory(s.cfg.Dir, roomToGoOn) != nil {
			continue
		}
		if err := s.restart(); err != nil {
			s.broken.Store(true)
			s.log.Error("store is still unusable", "error", err)
			continue
		}
		s.usable.Store(newPeriod())
		s.tryWrite()
		if s.Err() == nil {
			return true
		}
	}
}

// restart starts the engine anew and waits until it is reached.
func (s *Store) restart() error {
	s.up.Load().end(ErrUnusable)
	s.stopEngine()
	s.broken.Store(false) // until the next one fails, perhaps while it starts
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	if err := s.startEngine(ctx, true, true); err != nil {
		return err
	}
	for s.nc.Status() != nats.CONNECTED {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := s.nc.FlushWithContext(ctx); err != nil {
		return err
	}
	s.up.Store(newPeriod())
	for name := range s.js.StreamNames(ctx).Name() {
		if stream, err := s.js.Stream(ctx, name); err == nil {
			s.tellLoss(ctx, name, stream)
		}
	}
	return nil
}
