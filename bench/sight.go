package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	firstSights  = 1_000
	betweenTheir = 5 * time.Millisecond
)

// runSight polls sessions for the first time, one after the other, that a subscription wants
// to know of: their watches are durable before the client is answered.
func runSight(ctx context.Context, b *bench, names []string) error {
	c := &comparison{title: fmt.Sprintf("sight: %d sessions are polled for the first time, one every %s or so; store.sync: always", firstSights, betweenTheir)}
	return b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) { return b.sight(ctx, names[i]) })
}

func (b *bench) sight(ctx context.Context, name string) ([]figure, error) {
	s, err := b.startWatching(ctx, name, watchedAPI(firstSights), "STORE_SYNC=always", "WATCH_INTERVAL=1h", "WATCH_DEADLINE=2h")
	if err != nil {
		return nil, err
	}
	defer s.end()
	c := newClient(s.address, 1)
	defer c.close()
	var took []time.Duration
	for session := range firstSights {
		began := time.Now()
		answer, err := c.poll(session)
		if err != nil || string(answer) != pendingAnswer {
			return nil, fmt.Errorf("session %d was answered %.100q: %w", session, answer, err)
		}
		took = append(took, time.Since(began))
		if err := pause(ctx, betweenTheir); err != nil {
			return nil, err
		}
	}
	slices.Sort(took)
	return []figure{{"median ms", 2, milliseconds(took[len(took)/2])}, {"p99 ms", 2, milliseconds(took[len(took)*99/100])}}, nil
}
