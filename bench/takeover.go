package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// runTakeover kills pollbridge while many sessions are watched, and measures how
// long after its next start all of them are watched again, and polled. Of two builds
// only one runs at a time.
func runTakeover(ctx context.Context, b *bench, names []string) error {
	c := &comparison{
		title:  fmt.Sprintf("takeover: %d watched sessions, from the start of the process after SIGKILL", manyWatches),
		limits: []limit{{"s until all are watched", "", 2, false}},
	}
	var servers []*server
	for _, name := range names {
		s, err := b.startWatching(ctx, name, watchedAPI(manyWatches), watchSettings...)
		if err != nil {
			return err
		}
		defer s.end()
		if err := errors.Join(s.watch(ctx), s.crash(ctx)); err != nil {
			return err
		}
		servers = append(servers, s)
	}
	return b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) {
		figures, err := servers[i].takeOver(ctx)
		return figures, errors.Join(err, servers[i].crash(ctx))
	})
}

// crash kills the process after what it was doing has settled.
func (s *server) crash(ctx context.Context) error {
	return errors.Join(pause(ctx, 2*time.Second), s.kill())
}

// takeOver starts a process again that was killed, and waits until all sessions are
// watched and polled as before.
func (s *server) takeOver(ctx context.Context) ([]figure, error) {
	polls, began := s.upstream.requests.Load(), time.Now()
	if err := s.launch(); err != nil {
		return nil, err
	}
	since := func(done func(context.Context) error) (float64, error) {
		err := s.await(ctx, 30*time.Second, done)
		return time.Since(began).Seconds(), err
	}
	ready, err := since(s.isReady())
	if err != nil {
		return nil, err
	}
	watched, err := since(func(ctx context.Context) error {
		n, err := s.gauge(ctx, "pollbridge_watches")
		if err == nil && n < manyWatches {
			err = fmt.Errorf("%.0f sessions are watched", n)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	polled, err := since(func(context.Context) error {
		if s.upstream.requests.Load() == polls {
			return errors.New("no session is polled")
		}
		return nil
	})
	return []figure{
		{"s until ready", 2, ready}, {"s until all are watched", 2, watched}, {"s until they are polled", 2, polled},
	}, err
}
