package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	firstSights  = 1_000
	betweenTheir = 5 * time.Millisecond
)

// runSight polls sessions for the first time, one after the other, that a subscription wants
// to know of: their watches are durable before the client is answered. What that adds is seen
// beside as many that nobody wants to know of.
func runSight(ctx context.Context, b *bench, names []string) error {
	c := &comparison{title: fmt.Sprintf("sight: %d sessions are polled for the first time, one every %s or so; store.sync: always", firstSights, betweenTheir)}
	return b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) { return b.sight(ctx, names[i]) })
}

func (b *bench) sight(ctx context.Context, name string) ([]figure, error) {
	s, err := b.startWatching(ctx, name, watchedAPI(2*firstSights), "STORE_SYNC=always", "WATCH_INTERVAL=1h", "WATCH_DEADLINE=2h")
	if err != nil {
		return nil, err
	}
	defer s.end()
	wanted, err := s.pollInTurn(ctx, 0)
	if err != nil {
		return nil, err
	}
	if err := s.unsubscribe(ctx); err != nil {
		return nil, err
	}
	unwanted, err := s.pollInTurn(ctx, firstSights)
	if err != nil {
		return nil, err
	}
	median := milliseconds(wanted[len(wanted)/2])
	return []figure{
		{"median ms", 2, median}, {"p99 ms", 2, milliseconds(wanted[len(wanted)*99/100])},
		{"median of what it adds", 2, median - milliseconds(unwanted[len(unwanted)/2])},
	}, nil
}

// pollInTurn polls sessions from a number on for the first time, and returns how long each
// answer took, sorted.
func (s *server) pollInTurn(ctx context.Context, from int) (took []time.Duration, err error) {
	c := newClient(s.address, 1)
	defer c.close()
	for session := from; session < from+firstSights; session++ {
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
	return took, nil
}

// unsubscribe deletes the subscription.
func (s *server) unsubscribe(ctx context.Context) error {
	text, err := s.manage(ctx, http.MethodGet, "/v1/subscriptions", "")
	if err != nil {
		return err
	}
	var list struct{ Items []struct{ ID string } }
	if err := json.Unmarshal(text, &list); err != nil || len(list.Items) != 1 {
		return fmt.Errorf("not one subscription: %.200s", text)
	}
	_, err = s.manage(ctx, http.MethodDelete, "/v1/subscriptions/"+list.Items[0].ID, "")
	return err
}
