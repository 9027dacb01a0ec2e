package main

import (
	"context"
	"fmt"
	"time"
)

const manyWatches = 100_000

// watchSettings let each session be polled every 10 s, and nothing end by itself.
var watchSettings = []string{"STORE_SYNC=interval", "CACHE_PENDING_TTL=10s", "WATCH_SCHEDULE=fixed", "WATCH_INTERVAL=10s", "WATCH_DEADLINE=1h"}

// runWatches measures what a watched session costs while nothing happens to it.
// Builds are measured one after the other: two of them would fill the machine.
func runWatches(ctx context.Context, b *bench, names []string) error {
	c := &comparison{
		title:  fmt.Sprintf("watches: %d pending sessions, each polled every 10 s", manyWatches),
		limits: []limit{{"MB at most", "", 1500, false}, {"MB with none", "", 60, false}, {"CPU % with none", "", 2, false}},
	}
	for _, name := range names {
		if err := b.watches(ctx, name, c); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	c.print(b)
	return nil
}

func (b *bench) watches(ctx context.Context, name string, c *comparison) error {
	s, err := b.startWatching(ctx, name, watchedAPI(manyWatches), watchSettings...)
	if err != nil {
		return err
	}
	defer s.end()
	none, err := s.observe(ctx)
	if err != nil {
		return err
	}
	if err := s.watch(ctx); err != nil {
		return err
	}
	for round := range b.rounds {
		all, err := s.observe(ctx)
		if err != nil {
			return err
		}
		b.log("  round %d/%d: %s", round+1, b.rounds, c.add(name, []figure{
			{"MB with none", 1, none.now}, {"CPU % with none", 2, 100 * none.cpus}, {"polls/s", 0, all.polls}, {"CPU %", 1, 100 * all.cpus},
			{"µs of CPU a second for each", 1, (all.cpus - none.cpus) / manyWatches * 1e6},
			{"MB at most", 1, all.peak}, {"kB for each", 2, (all.now - none.now) / manyWatches * 1000},
		}))
	}
	return nil
}

// observed is what a process did over some time, and uses at its end.
type observed struct {
	usage
	cpus, polls float64 // a second
}

// observe waits for what came before to settle, and then looks on for the time in
// which each session is polled once.
func (s *server) observe(ctx context.Context) (o observed, err error) {
	if err := pause(ctx, 2*time.Second); err != nil {
		return o, err
	}
	before, polls, began := usageOf(s.pid), s.upstream.requests.Load(), time.Now()
	if err := pause(ctx, 10*time.Second); err != nil {
		return o, err
	}
	took := time.Since(began).Seconds()
	o.usage, o.polls = usageOf(s.pid), float64(s.upstream.requests.Load()-polls)/took
	o.cpus = (o.cpu - before.cpu).Seconds() / took
	return o, s.dead()
}
