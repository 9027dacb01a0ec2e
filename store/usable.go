package store

import (
	"context"
	"fmt"
	"time"

	"pollbridge/internal/period"
)

// Err is why the store cannot be used now (disk full, directory gone), or nil. It does
// not block.
func (s *Store) Err() error {
	if s.closed.Load() {
		return errClosed
	}
	return unusable(s.conn.Usable())
}

// Up returns a context that lasts while the server is reached.
func (s *Store) Up() context.Context { return s.conn.Up() }

func unusable(period context.Context) error {
	if cause := context.Cause(period); cause != nil {
		return fmt.Errorf("%w: %w", ErrUnusable, cause)
	}
	return nil
}

// use returns the context for one call that writes, or that depends on what was
// written: it ends with ctx, after a while, and when the server fails. The error says
// that it has.
func (s *Store) use(ctx context.Context) (context.Context, context.CancelFunc, error) {
	usable := s.conn.Usable()
	if err := unusable(usable); err != nil {
		return nil, nil, err
	}
	ctx, cancel := during(ctx, usable)
	return ctx, cancel, nil
}

// look is use for a call that only reads: a server that cannot write can still do
// that.
func (s *Store) look(ctx context.Context) (context.Context, context.CancelFunc) {
	return during(ctx, s.conn.Up())
}

func during(ctx, period context.Context) (context.Context, context.CancelFunc) {
	const timeout = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	stop := context.AfterFunc(period, cancel)
	return ctx, func() { stop(); cancel() }
}

// insist calls f again whenever it has returned, until ctx ends. What f gets ends with the
// server, too: what that does not keep on the disk, such as consumers, is gone then.
func (s *Store) insist(ctx context.Context, f func(context.Context) error, failed func(error)) {
	const pause = 250 * time.Millisecond
	for ctx.Err() == nil {
		running, cancel := period.Either(ctx, s.conn.Up())
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
