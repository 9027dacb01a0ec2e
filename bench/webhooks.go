package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// watchedAPI is the upstream of sessions that are pending until they are ended,
// with small documents.
func watchedAPI(sessions int) api {
	return api{sessions: sessions, answer: []byte(pendingAnswer), final: finalAnswers(1500)}
}

const (
	promptWatches = 10_000
	promptEnds    = 2_000
	promptTime    = 20 * time.Second
)

// runPrompt watches many sessions, ends some of them one after the other, and
// measures how long after the upstream told of an end the webhook came.
func runPrompt(ctx context.Context, b *bench, names []string) error {
	c := &comparison{
		title:  fmt.Sprintf("prompt: %d of %d watched sessions end within %s; from the first final answer to its webhook", promptEnds, promptWatches, promptTime),
		limits: []limit{{"p99 ms", "", 100, false}},
	}
	return b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) { return b.prompt(ctx, names[i]) })
}

func (b *bench) prompt(ctx context.Context, name string) ([]figure, error) {
	s, err := b.startWatching(ctx, name, watchedAPI(promptWatches), "STORE_SYNC=interval", "WATCH_SCHEDULE=fixed")
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.watch(ctx); err != nil {
		return nil, err
	}
	if err := s.upstream.endSome(ctx, promptEnds, promptTime); err != nil {
		return nil, err
	}
	if err := s.awaitCount(ctx, "final events", &s.receiver.finals, promptEnds); err != nil {
		return nil, err
	}
	return delayFigures(delaysOf(s.upstream, s.receiver)), nil
}

// endSome ends n of the signings, one after the other, within that time.
func (u *upstream) endSome(ctx context.Context, n int, within time.Duration) error {
	for i := range n {
		u.end(i * (u.sessions / n))
		if err := pause(ctx, within/time.Duration(n)); err != nil {
			return err
		}
	}
	return nil
}

// delayFigures are of delays that are sorted.
func delayFigures(delays []time.Duration) []figure {
	return []figure{
		{"median ms", 1, median(delays)}, {"p99 ms", 1, milliseconds(delays[len(delays)*99/100])},
		{"at most ms", 1, milliseconds(delays[len(delays)-1])},
	}
}

// delaysOf returns how long each final event took, sorted.
func delaysOf(u *upstream, r *receiver) (delays []time.Duration) {
	for session := range r.came {
		if came := r.came[session].Load(); came != 0 {
			delays = append(delays, time.Duration(came-u.told[session].Load()))
		}
	}
	slices.Sort(delays)
	return delays
}

// runDeliveries ends many signings at once and counts the events that are
// delivered a second.
func runDeliveries(ctx context.Context, b *bench, names []string) error {
	for _, test := range []struct {
		sync     string
		signings int
		want     float64
	}{{"always", 6_000, 300}, {"interval", 6_000, 3000}} {
		c := &comparison{
			title:  fmt.Sprintf("deliveries: %d signings begin, and then all of them end; store.sync: %s", test.signings, test.sync),
			limits: []limit{{"final events/s", "", test.want, true}},
		}
		err := b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) {
			return b.deliver(ctx, names[i], test.sync, test.signings)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deliver measures how many events a second are delivered while sessions begin to be
// watched, and while they end.
func (b *bench) deliver(ctx context.Context, name, sync string, signings int) ([]figure, error) {
	s, err := b.startWatching(ctx, name, watchedAPI(signings), "STORE_SYNC="+sync, "WATCH_SCHEDULE=fixed")
	if err != nil {
		return nil, err
	}
	defer s.end()
	began := time.Now()
	if err := s.watch(ctx); err != nil {
		return nil, err
	}
	first := float64(signings) / time.Since(began).Seconds()
	began = time.Now()
	for session := range signings {
		s.upstream.end(session)
	}
	if err := s.awaitCount(ctx, "final events", &s.receiver.finals, signings); err != nil {
		return nil, err
	}
	return []figure{{"first events/s", 0, first}, {"final events/s", 0, float64(signings) / time.Since(began).Seconds()}}, nil
}
