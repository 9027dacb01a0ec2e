package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	watchesMostMem  = 1_500_000_000
	watchesMeasured = 20 * time.Second
	idleMostMem     = 60_000_000
	idleMeasured    = 10 * time.Second
)

// runWatches measures what a watched session costs while nothing happens to
// it, for more and more of them.
func runWatches(ctx context.Context, l *lab, r *report) (err error) {
	if l.pollbridge == "" {
		r.line("watches: left out, it needs pollbridge")
		return nil
	}
	numbers := []int{0, 1_000, 10_000, 100_000}
	last := numbers[len(numbers)-1]
	b, err := startBridge(ctx, l, last, "store: {sync: interval}\ncache: {pending_ttl: 10s}\nwatch: {interval: 10s, deadline: 1h}\n")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	var rows [][]string
	var idle, full memory
	var idleCPU float64
	watched := 0
	for _, n := range numbers {
		measured := watchesMeasured
		if n == 0 {
			measured = idleMeasured
		} else {
			l.log("  %d sessions", n)
			if err := b.watch(ctx, l, watched, n); err != nil {
				return err
			}
			watched = n
		}
		time.Sleep(settlingPause)
		cpu, polls, err := b.over(ctx, measured)
		if err != nil {
			return err
		}
		m, err := memoryOf(b.pid)
		if err != nil {
			return err
		}
		row := []string{fmt.Sprint(n), fmt.Sprintf("%.0f", polls), fmt.Sprintf("%.2f", cpu), "", megabytes(m.now), ""}
		if n == 0 {
			idle, idleCPU = m, cpu
		} else {
			full = m
			row[3] = fmt.Sprintf("%.1f", (cpu-idleCPU)/float64(n)*1e6)
			row[5] = fmt.Sprintf("%.1f kB", float64(m.now-idle.now)/float64(n)/1000)
		}
		rows = append(rows, row)
	}
	r.table("watches: pending sessions, each polled every 10 s", []string{"watched", "polls a second", "CPUs busy", "µs of CPU a second for each", "resident memory", "for each"}, rows)
	r.bars([][]string{
		{"memory with 100,000 watches", megabytes(full.peak), "under " + megabytes(watchesMostMem), verdict(full.peak < watchesMostMem)},
		{"memory without sessions", megabytes(idle.now), "under " + megabytes(idleMostMem), verdict(idle.now < idleMostMem)},
		{"CPU without sessions", fmt.Sprintf("%.2f %%", idleCPU*100), "near 0", verdict(idleCPU < 0.02)},
	})
	return nil
}

// over returns how much CPU was busy, and how many polls a second the upstream saw,
// over a time.
func (b *bridge) over(ctx context.Context, d time.Duration) (cpus, polls float64, err error) {
	before, err := cpuTime(b.pid)
	if err != nil {
		return 0, 0, err
	}
	asked, began := b.signer.polls.Load(), time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	after, err := cpuTime(b.pid)
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(began).Seconds()
	return (after - before).Seconds() / took, float64(b.signer.polls.Load()-asked) / took, errors.Join(b.dead())
}
