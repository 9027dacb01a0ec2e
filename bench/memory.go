package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	manySessions  = 1_000_000
	manyBound     = 120 * time.Second
	manyMostMem   = 700_000_000
	sampleSize    = 1000
	sampleBound   = 20 * time.Second
	settlingPause = 2 * time.Second
)

// runMemory polls very many sessions once each, so that pollbridge holds an
// answer for every one of them, and reads its memory. Then it asks for a
// sample of them again; and once more with the upstream failing, when what is
// answered is what was kept.
func runMemory(ctx context.Context, l *lab, r *report) (err error) {
	if l.pollbridge == "" {
		r.line("memory: left out, it needs pollbridge")
		return nil
	}
	s, err := startOne(ctx, l, pollbridges(l)[0], job{answer: []byte(pendingAnswer)}, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(), s.up.close()) }()
	empty, err := memoryOf(s.pid)
	if err != nil {
		return err
	}
	cpu, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	l.log("  polling %d sessions once each, %s at most", manySessions, manyBound)
	first := pollEach(ctx, s.address, l.connections, manyBound, manySessions, 1)
	if err := ctx.Err(); err != nil {
		return err
	}
	spent, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	time.Sleep(settlingPause)
	full, err := memoryOf(s.pid)
	if err != nil {
		return err
	}
	stride := max(1, int(first.asked)/sampleSize)
	again := pollEach(ctx, s.address, l.connections, sampleBound, int(first.asked), stride)
	s.up.fail()
	stale := pollEach(ctx, s.address, l.connections, sampleBound, int(first.asked), stride)
	if err := errors.Join(ctx.Err(), s.dead()); err != nil {
		return err
	}
	r.table("memory: sessions polled once each, all pending", []string{"", ""}, [][]string{
		{"sessions polled", fmt.Sprintf("%d in %s", first.asked, first.took.Round(100*time.Millisecond))},
		{"answered with what the upstream said", fmt.Sprintf("%d; others: %s", first.answered, first.trouble())},
		{"upstream requests", fmt.Sprint(s.up.ledger.total.Load())},
		{"CPU s per 100,000", fmt.Sprintf("%.2f", (spent-cpu).Seconds()*100_000/float64(max(1, first.asked)))},
		{"resident memory, empty", megabytes(empty.now)},
		{"resident memory, full", megabytes(full.now)},
		{"resident memory, at most", megabytes(full.peak)},
		{"answered when a sample is polled again", fmt.Sprintf("%d of %d", again.answered, again.asked)},
		{"answered while the upstream fails", fmt.Sprintf("%d of %d", stale.answered, stale.asked)},
	})
	r.bars([][]string{
		{"memory with 1,000,000 pending sessions", megabytes(full.peak), "under " + megabytes(manyMostMem),
			verdict(first.answered == manySessions && full.peak < manyMostMem)},
		{"sessions answered", fmt.Sprint(first.answered), fmt.Sprint(manySessions), verdict(first.answered == manySessions)},
	})
	return nil
}
