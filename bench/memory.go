package main

import (
	"context"
	"time"
)

const (
	manySessions = 1_000_000
	manyTime     = 2 * time.Minute // in which they are polled, as pending answers are kept for no longer
	manySample   = 1000
)

// runMemory polls very many sessions once each, so that pollbridge holds an
// answer for every one of them, and reads its memory. Then it polls a sample of
// them again with the upstream failing, when what is answered is what was kept.
func runMemory(ctx context.Context, b *bench, names []string) error {
	c := &comparison{
		title:  "memory: 1,000,000 pending sessions, polled once each",
		limits: []limit{{"MB at most", "", 600, false}, {"answered", "", manySessions, true}},
	}
	return b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) { return b.fill(ctx, names[i]) })
}

func (b *bench) fill(ctx context.Context, name string) ([]figure, error) {
	s, err := b.startServer(ctx, name, api{answer: []byte(pendingAnswer)})
	if err != nil {
		return nil, err
	}
	defer s.end()
	before := usageOf(s.pid)
	first := pollPending(ctx, s.address, b.connections, manyTime, manySessions, 1)
	cpu := usageOf(s.pid).cpu - before.cpu
	if err := first.err(manySessions); err != nil {
		b.log("  %s: %v", name, err)
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return nil, err
	}
	full := usageOf(s.pid)
	s.upstream.failing.Store(true)
	asked := int(first.asked.Load())
	sample := pollPending(ctx, s.address, b.connections, 20*time.Second, asked, max(1, asked/manySample))
	return []figure{
		{"answered", 0, float64(first.answered.Load())}, {"seconds", 1, first.took.Seconds()},
		{cpuPerRequest, 2, cpu.Seconds() * 100_000 / float64(max(1, asked))},
		{"MB empty", 1, before.now}, {"MB full", 1, full.now}, {"MB at most", 1, full.peak},
		{"% answered in an outage", 1, 100 * float64(sample.answered.Load()) / float64(max(1, sample.asked.Load()))},
	}, s.dead()
}
