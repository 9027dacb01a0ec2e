package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	promptWatches = 10_000
	promptEnds    = 2_000
	promptTime    = 20 * time.Second
	promptMost    = 100 * time.Millisecond
)

// runPrompt watches many sessions, ends some of them one after the other, and
// measures how long after the upstream told of an end the webhook came.
func runPrompt(ctx context.Context, l *lab, r *report) (err error) {
	if l.pollbridge == "" {
		r.line("prompt: left out, it needs pollbridge")
		return nil
	}
	b, err := startBridge(ctx, l, promptWatches, "store: {sync: interval}\n")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	l.log("  watching %d sessions", promptWatches)
	if err := b.watch(ctx, l, 0, promptWatches); err != nil {
		return err
	}
	l.log("  ending %d of them within %s", promptEnds, promptTime)
	step := promptTime / promptEnds
	tick := time.NewTicker(step)
	defer tick.Stop()
	for n := range promptEnds {
		b.signer.end(n * (promptWatches / promptEnds))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := b.await(ctx, "the final events", 30*time.Second, func() bool { return b.subscriber.finals.Load() >= promptEnds }); err != nil {
		return err
	}
	delays := b.delays()
	p50, p99 := delays[len(delays)/2], delays[len(delays)*99/100]
	r.table(fmt.Sprintf("prompt: %d of %d watched sessions end within %s", promptEnds, promptWatches, promptTime), []string{"from the upstream's first final answer to the webhook", ""}, [][]string{
		{"median", p50.Round(100 * time.Microsecond).String()},
		{"p99", p99.Round(100 * time.Microsecond).String()},
		{"at most", delays[len(delays)-1].Round(100 * time.Microsecond).String()},
	})
	r.bars([][]string{{"p99 beyond the poll interval", p99.Round(100 * time.Microsecond).String(), "under " + promptMost.String(), verdict(p99 < promptMost)}})
	return nil
}

// delays returns how long each final event took, sorted.
func (b *bridge) delays() []time.Duration {
	var delays []time.Duration
	for n := range b.subscriber.came {
		if came := b.subscriber.came[n].Load(); came != 0 {
			delays = append(delays, time.Duration(came-b.signer.told[n].Load()))
		}
	}
	slices.Sort(delays)
	return delays
}

// runDeliveries ends many signings at once and counts the events that are
// delivered a second, beside what the disk can do at best.
func runDeliveries(ctx context.Context, l *lab, r *report) error {
	if l.pollbridge == "" {
		r.line("deliveries: left out, it needs pollbridge")
		return nil
	}
	var rows, bars [][]string
	for _, test := range []struct {
		sync     string
		signings int
		want     float64
	}{{"always", 1_500, 300}, {"interval", 6_000, 3000}} {
		floor, err := syncedWrites()
		if err != nil {
			return err
		}
		l.log("  store.sync: %s", test.sync)
		first, second, err := burst(ctx, l, test.sync, test.signings)
		if err != nil {
			return err
		}
		rows = append(rows, []string{test.sync, fmt.Sprint(test.signings), fmt.Sprintf("%.0f", floor), fmt.Sprintf("%.0f", first), fmt.Sprintf("%.0f", second)})
		bars = append(bars, []string{
			"events a second, sync: " + test.sync, fmt.Sprintf("%.0f", second), fmt.Sprintf("at least %.0f", test.want), verdict(second >= test.want),
		})
	}
	r.table("deliveries: signings begin, and then all of them end",
		[]string{"store.sync", "signings", "writes with fsync a second, bare", "first events a second", "final events a second"}, rows)
	r.bars(bars)
	return nil
}

// burst returns how many events a second were delivered while sessions began to be
// watched, and while they ended.
func burst(ctx context.Context, l *lab, sync string, signings int) (first, final float64, err error) {
	b, err := startBridge(ctx, l, signings, "store: {sync: "+sync+"}\n")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	began := time.Now()
	if err := b.watch(ctx, l, 0, signings); err != nil {
		return 0, 0, err
	}
	first = float64(signings) / time.Since(began).Seconds()
	began = time.Now()
	for n := range signings {
		b.signer.end(n)
	}
	if err := b.await(ctx, "the final events", time.Minute, func() bool { return b.subscriber.finals.Load() >= int64(signings) }); err != nil {
		return 0, 0, err
	}
	return first, float64(signings) / time.Since(began).Seconds(), nil
}

// syncedWrites is how many small writes a second reach the disk, one after the
// other.
func syncedWrites() (float64, error) {
	file, err := os.Create(filepath.Join(os.TempDir(), fmt.Sprintf("pollbridge-bench-sync-%d", os.Getpid())))
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	line := make([]byte, 300)
	began, n := time.Now(), 0
	for time.Since(began) < time.Second {
		if _, err := file.Write(line); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
