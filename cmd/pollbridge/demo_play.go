package main

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// demoPlay is the clients, the signings and the outage of one demonstration.
type demoPlay struct {
	cmd     *demoCmd
	setup   *demoSetup
	http    *http.Client
	tally   *demoTally
	outage  *demoOutage
	desks   []*demoDesk
	history *demoHistory

	began   time.Time
	playing sync.WaitGroup
}

func newDemoPlay(c *demoCmd, setup *demoSetup) *demoPlay {
	p := &demoPlay{
		cmd: c, setup: setup, http: newDemoHTTP(c.Clients + c.Sessions), tally: &demoTally{},
		outage: newDemoOutage(setup.sim, c.Duration), history: newDemoHistory(c.Duration), began: time.Now(),
	}
	setup.webhooks.knowOutage(p.outage)
	for i := range c.Sessions {
		p.desks = append(p.desks, newDemoDesk([]string{"smartid", "smartid", "mobile"}[i%3]))
	}
	return p
}

// start starts everybody, until ctx ends.
func (p *demoPlay) start(ctx context.Context) {
	p.playing.Go(func() { p.outage.run(ctx) })
	for i, desk := range p.desks {
		p.playing.Go(func() { desk.keepBusy(ctx, p.client(i), p.outage) })
	}
	step := 0 // where there are enough clients, each stays at its desk
	if p.cmd.Clients < p.cmd.Sessions {
		step = p.cmd.Clients
	}
	for i := range p.cmd.Clients {
		p.playing.Go(func() { p.client(i).run(ctx, p.desks, i%len(p.desks), step) })
	}
}

// client returns the i-th client. At every desk some speak English and some
// Lithuanian; at every other desk the second one prefers held answers, and every
// fifth after it.
func (p *demoPlay) client(i int) *demoClient {
	desk, place := i%len(p.desks), i/len(p.desks)
	return &demoClient{
		http: p.http, url: p.setup.url(), prefix: []string{"", "/en"}[(desk+place)%2],
		waits: desk%2 == 0 && place%5 == 1,
		sim:   p.setup.sim, tally: p.tally, outage: p.outage,
	}
}

// show shows the figures until ctx ends, which is no error, or something fails.
func (p *demoPlay) show(ctx context.Context, display demoDisplay) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			display.show(p.figures(now))
		case err := <-p.setup.bridge.failed:
			return err
		case err := <-p.setup.failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// wait returns when everybody has stopped.
func (p *demoPlay) wait() {
	p.playing.Wait()
	p.http.CloseIdleConnections()
}

// figures asks everything that counts.
func (p *demoPlay) figures(now time.Time) demoFigures {
	f := demoFigures{
		Clients: p.cmd.Clients, Sessions: p.cmd.Sessions,
		Length: p.cmd.Duration, Elapsed: min(now.Sub(p.began), p.cmd.Duration),
		UnderWay: p.underWay(), Breaker: demoBreakerIn(p.setup.bridge.registry),
	}
	p.tally.fill(&f)
	p.setup.webhooks.fill(&f)
	stats := p.setup.sim.Stats()
	f.Sent, f.Struck = stats.Polls, stats.Faulted
	p.outage.fill(&f, now)
	p.history.note(&f)
	return f
}

func (p *demoPlay) underWay() (n int) {
	for _, desk := range p.desks {
		if signing, _ := desk.look(); signing != nil && !signing.wasTold() {
			n++
		}
	}
	return n
}
