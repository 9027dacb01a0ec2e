package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// What the calculation takes as given.
const (
	sessionsWanted = 10e6
	sessionSeconds = 60. // from a session's first poll to its end
	watchPolls     = 1.  // of a session, a second

	replicaCores = 2.
	natsCores    = 3 * 8. // of three servers
	streamWrites = 9_000. // synced, a second, into one stream of three servers that share two cores
	fleetSlots   = 256.
)

// costs are what things take, in seconds of CPU where nothing else is said.
type costs struct {
	signing, signingNATS float64 // its events, records and answer
	busiestWrites        float64 // of a signing, into one stream
	watchPoll            float64
	ask, askNATS         float64 // a client's poll that another replica than the holder gets
	askMessages          float64
	hit                  float64 // a client's poll that the holder gets
	idle                 float64 // a replica, each second
	ownMessages          float64 // of a replica with nothing to do, a second, beside what others hear
}

// measuredCosts are those that the scenarios fleet, watches and this one have found, see docs/fleet.md.
var measuredCosts = costs{
	signing: 1.8e-3, signingNATS: 2.7e-3, busiestWrites: 2, watchPoll: 85e-6,
	ask: 186e-6, askNATS: 83e-6, askMessages: 4, hit: 20e-6, idle: 0.005, ownMessages: 4,
}

// runScale measures what replicas cost that do nothing, and calculates from that and from the
// figures of other scenarios how many sessions fleets of other sizes can bear.
func runScale(ctx context.Context, b *bench, _ []string) error {
	if err := b.measureIdle(ctx); err != nil {
		return err
	}
	b.calculate(measuredCosts)
	return nil
}

// measureIdle lets a fleet grow that does nothing.
func (b *bench) measureIdle(ctx context.Context) error {
	f, err := b.startFleet(ctx, fleetKind{"idle", 1, true}, api{})
	if err != nil {
		return err
	}
	defer f.end()
	c := &comparison{title: "scale, measured: fleets of so many replicas, with nothing to do"}
	for _, n := range []int{1, 3, 6, 12} {
		if err := f.grow(ctx, n); err != nil {
			return err
		}
		for round := range b.rounds {
			idle, err := f.idle(ctx, 10*time.Second)
			if err != nil {
				return err
			}
			second := idle.beyond(cost{seconds: 1}, idle.seconds)
			b.log("  round %d/%d: %s", round+1, b.rounds, c.add(fmt.Sprint(n), []figure{
				{"CPU % of each", 2, 100 * second.cpu / float64(n)}, {"of all NATS servers", 2, 100 * second.natsCPU},
				{"messages/s", 1, second.messages}, {"calculated", 0, measuredCosts.beats(float64(n))}, {"between servers too", 1, second.allMessages}, {"writes/s", 2, second.writes},
			}))
		}
	}
	c.print(b)
	return nil
}

// beats is how many messages a second tell all replicas that all are there, every two seconds.
func (c costs) beats(replicas float64) float64 {
	return replicas*c.ownMessages + replicas*replicas/2
}

// A bound is how many live sessions a fleet of so many replicas bears as far as one thing goes, whose
// clients poll so often a second each, through any replica.
type bound struct {
	name     string
	sessions func(c costs, replicas, polls float64) float64
}

var bounds = []bound{
	{"writes into one stream", func(c costs, _, _ float64) float64 { return streamWrites / c.busiestWrites * sessionSeconds }},
	{"CPU of NATS", func(c costs, n, polls float64) float64 {
		free := natsCores - c.beats(n)*c.askNATS/c.askMessages
		return free / (c.signingNATS/sessionSeconds + polls*elsewhere(n)*c.askNATS)
	}},
	{"CPU of all replicas", func(c costs, n, polls float64) float64 {
		each := c.signing/sessionSeconds + watchPolls*c.watchPoll + polls*(elsewhere(n)*c.ask+(1-elsewhere(n))*c.hit)
		return n * (replicaCores - c.idle) / each
	}},
	{"CPU of who holds most", func(c costs, n, polls float64) float64 {
		held := math.Ceil(fleetSlots/n) / fleetSlots // of all sessions
		each := held*(c.signing/sessionSeconds+watchPolls*c.watchPoll) + polls*(elsewhere(n)*c.ask+(1-elsewhere(n))*c.hit)/n
		return (replicaCores - c.idle) / each
	}},
}

// elsewhere is the part of polls that reach a replica that is not the holder.
func elsewhere(replicas float64) float64 { return 1 - 1/replicas }

// least is how many sessions a fleet bears, and what is the first thing that it has too little of.
func least(c costs, replicas, polls float64) (name string, sessions float64) {
	sessions = math.Inf(1)
	for _, b := range bounds {
		if n := b.sessions(c, replicas, polls); n < sessions {
			name, sessions = b.name, n
		}
	}
	return name, sessions
}

// calculate prints what fleets of several sizes bear.
func (b *bench) calculate(c costs) {
	sizes := []float64{10, 100, 1000}
	for _, clients := range []struct {
		are   string
		polls float64
	}{{"poll once a second", 1}, {"wait for the webhook", 0}} {
		head := []string{"thousands of live sessions"}
		rows := make([][]string, len(bounds)+3)
		add := func(row int, name, cell string) {
			if rows[row] == nil {
				rows[row] = []string{name}
			}
			rows[row] = append(rows[row], cell)
		}
		for _, n := range sizes {
			head = append(head, fmt.Sprintf("%.0f replicas", n))
			for i, bound := range bounds {
				add(i, "by "+bound.name, fmt.Sprintf("%.0f", bound.sessions(c, n, clients.polls)/1000))
			}
			first, sessions := least(c, n, clients.polls)
			add(len(bounds), "reached first", first)
			add(len(bounds)+1, fmt.Sprintf("fleets for %.0f million", sessionsWanted/1e6), fmt.Sprintf("%.0f", math.Ceil(sessionsWanted/sessions)))
			add(len(bounds)+2, "messages/s that say who is there", fmt.Sprintf("%.0f", c.beats(n)))
		}
		writeTable(b.out, "scale, calculated: sessions live for a minute each, and clients "+clients.are, head, rows)
	}
}
