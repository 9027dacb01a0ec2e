package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	steadyRate     = 22 // signings a second
	steadyDocument = 40 << 10
	steadySigning  = 2500 * time.Millisecond // from the first poll to the end
	steadySamples  = 20
)

// runSteady lets signings begin at a steady rate, each polled once a second by its
// client until it is final, and reads the memory as time goes by. Of two builds
// both run at once, as the load is small.
func runSteady(ctx context.Context, b *bench, names []string) error {
	a := api{sessions: int(b.steady.Seconds() * steadyRate), answer: []byte(pendingAnswer), final: finalAnswers(steadyDocument)}
	head := []string{"after"}
	var loads []*steadyLoad
	for _, name := range names {
		s, err := b.startWatching(ctx, name, a, "STORE_RETAIN=2m")
		if err != nil {
			return err
		}
		defer s.end()
		head, loads = append(head, name), append(loads, &steadyLoad{server: s})
	}
	var running sync.WaitGroup
	for _, l := range loads {
		running.Go(func() { l.run(ctx) })
	}
	var rows [][]string
	for n := range steadySamples {
		_ = pause(ctx, b.steady/steadySamples) // the loads end with ctx, too
		row := []string{(b.steady / steadySamples * time.Duration(n+1)).Round(time.Second).String()}
		for _, l := range loads {
			row = append(row, fmt.Sprintf("%.0f", usageOf(l.server.pid).now))
		}
		rows = append(rows, row)
		b.log("  after %s: %s MB", row[0], row[1:])
	}
	running.Wait()
	c := &comparison{
		title:  "steady: " + b.steady.String() + " in all",
		limits: []limit{{"MB at most", "", 400, false}, {"not finished", "", 0, false}},
	}
	for _, l := range loads {
		if err := errors.Join(ctx.Err(), l.server.dead()); err != nil {
			return err
		}
		c.add(l.server.name, l.figures())
	}
	writeTable(b.out, fmt.Sprintf("steady: %d signings a second with documents of %d KiB, store.retain: 2m; resident memory in MB",
		steadyRate, steadyDocument>>10), head, rows)
	c.print(b)
	return nil
}

// A steadyLoad is the signings of one build.
type steadyLoad struct {
	server            *server
	started, finished atomic.Int64
}

// run starts signings until all have been started or ctx is done, and waits until
// they are finished.
func (l *steadyLoad) run(ctx context.Context) {
	c := newClient(l.server.address, 1024)
	defer c.close()
	var signings sync.WaitGroup
	defer signings.Wait()
	tick := time.NewTicker(time.Second / steadyRate)
	defer tick.Stop()
	for session := range l.server.upstream.sessions {
		select {
		case <-tick.C:
			signings.Go(func() { l.sign(ctx, c, session) })
		case <-ctx.Done():
			return
		}
	}
}

// sign polls one session as its client does, until it is final. A failure ends it.
func (l *steadyLoad) sign(ctx context.Context, c *client, session int) {
	l.started.Add(1)
	defer time.AfterFunc(steadySigning, func() { l.server.upstream.end(session) }).Stop()
	want := string(l.server.upstream.final(session))
	for {
		answer, err := c.poll(session)
		switch {
		case err != nil:
			l.server.bench.log("  %s: %v", l.server.name, err)
			return
		case string(answer) == want:
			l.finished.Add(1)
			return
		case pause(ctx, time.Second) != nil:
			return
		}
	}
}

func (l *steadyLoad) figures() []figure {
	u, started := usageOf(l.server.pid), float64(l.started.Load())
	return []figure{
		{"signings", 0, started}, {"not finished", 0, started - float64(l.finished.Load())},
		{"webhooks", 0, float64(l.server.receiver.events.Load())}, {"CPU ms a signing", 1, u.cpu.Seconds() * 1000 / started}, {"MB at most", 1, u.peak},
	}
}
