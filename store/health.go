package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
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

// health is whether the engine can be used.
type health struct {
	failed chan struct{} // holds a token when there is something to look at

	mu     sync.Mutex
	err    error         // guarded by mu, as all below; nil: it can be used
	usable period        // until it cannot be written any more
	up     period        // until the engine is stopped
	anew   chan struct{} // closed when the engine was started anew
}

// period is a time that has an end.
type period struct {
	context.Context
	end context.CancelFunc
}

func newPeriod() period {
	ctx, end := context.WithCancel(context.Background())
	return period{ctx, end}
}

func (h *health) init() {
	h.failed = make(chan struct{}, 1)
	h.usable, h.up = newPeriod(), newPeriod()
	h.anew = make(chan struct{})
}

// close notes that the store was closed.
func (h *health) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = errClosed
	h.usable.end()
	h.up.end()
}

// Err is why the engine cannot be used now (disk full, directory gone), or nil. It
// does not block: the engine is checked in the background every second or so.
func (s *Store) Err() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.err
}

// fail notes that the engine cannot be used. Only the first reason counts.
func (s *Store) fail(err error) {
	s.health.mu.Lock()
	if s.health.err == nil {
		s.health.err = fmt.Errorf("%w: the engine in %s: %w", ErrUnusable, s.engineDir(), err)
		s.health.usable.end()
	}
	s.health.mu.Unlock()
	select {
	case s.health.failed <- struct{}{}:
	default:
	}
}

// recovered notes that the engine was started anew and can be used.
func (s *Store) recovered() {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	s.health.err = nil
	s.health.usable = newPeriod()
	close(s.health.anew)
	s.health.anew = make(chan struct{})
}

// anew returns a channel that is closed when the engine was started anew: whatever
// it did not keep on the disk, such as consumers, is gone then.
func (s *Store) anew() <-chan struct{} {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.anew
}

// use returns the context for one call that writes, or that depends on what was
// written: it ends with ctx, after a while, and when the engine fails. The error says
// that it has.
func (s *Store) use(ctx context.Context) (context.Context, context.CancelFunc, error) {
	s.health.mu.Lock()
	usable, err := s.health.usable, s.health.err
	s.health.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := during(ctx, usable)
	return ctx, cancel, nil
}

// look is use for a call that only reads: an engine that cannot write can still do
// that.
func (s *Store) look(ctx context.Context) (context.Context, context.CancelFunc) {
	s.health.mu.Lock()
	up := s.health.up
	s.health.mu.Unlock()
	return during(ctx, up)
}

func during(ctx context.Context, p period) (context.Context, context.CancelFunc) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	stop := context.AfterFunc(p, cancel)
	return ctx, func() { stop(); cancel() }
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
		case <-s.health.failed:
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
			s.log.Error("store is still unusable", "error", err)
			continue
		}
		s.recovered()
		s.tryWrite()
		if s.Err() == nil {
			return true
		}
	}
}

// restart starts the engine anew and waits until it is reached.
func (s *Store) restart() error {
	s.health.mu.Lock()
	s.health.up.end()
	s.health.mu.Unlock()
	s.stopEngine()
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
	s.health.mu.Lock()
	s.health.up = newPeriod()
	s.health.mu.Unlock()
	for name := range s.js.StreamNames(ctx).Name() {
		if stream, err := s.js.Stream(ctx, name); err == nil {
			s.tellLoss(ctx, name, stream)
		}
	}
	return nil
}
