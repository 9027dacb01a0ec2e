package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fleetSignings = 2_000
	fleetWatches  = 2_000
	fleetEnds     = 1_000
	fleetEndsTime = 10 * time.Second
	fleetPolls    = 1_000
	fleetHits     = 20_000
	fleetWindow   = 4 * time.Second // in which many sessions can be polled
	fleetStale    = 8 * time.Second
	idleTime      = 5 * time.Second

	holder  = "three replicas, the holder"
	another = "three replicas, another"
)

// fleetRatios are shown of what is measured of each kind of fleet.
var fleetRatios = []ratio{{threeReplicas, oneReplica}, {threeReplicas, embedded}}

// runFleet compares three replicas with one on the same kind of cluster, and with one that keeps
// everything itself. Another build takes no part.
func runFleet(ctx context.Context, b *bench, _ []string) error {
	var kinds []string
	for _, kind := range fleetKinds {
		kinds = append(kinds, kind.name)
	}
	if err := b.fleetPolling(ctx); err != nil {
		return err
	}
	c := &comparison{title: fmt.Sprintf("fleet: %d signings begin, and then all of them end; everything is synced before it is acknowledged", fleetSignings), compared: fleetRatios}
	if err := b.inTurn(ctx, c, kinds, func(ctx context.Context, i int) ([]figure, error) { return b.fleetSignings(ctx, fleetKinds[i]) }); err != nil {
		return err
	}
	c = &comparison{
		title:    fmt.Sprintf("fleet: nothing; then %d of %d watched sessions end within %s: from the first final answer to its webhook", fleetEnds, fleetWatches, fleetEndsTime),
		compared: fleetRatios,
	}
	return b.inTurn(ctx, c, kinds, func(ctx context.Context, i int) ([]figure, error) { return b.fleetPrompt(ctx, fleetKinds[i]) })
}

// fleetSignings measures how many events a second are delivered, as deliver does, and what a
// signing costs.
func (b *bench) fleetSignings(ctx context.Context, kind fleetKind) ([]figure, error) {
	f, err := b.startFleet(ctx, kind, watchedAPI(fleetSignings))
	if err != nil {
		return nil, err
	}
	defer f.end()
	idle, err := f.idle(ctx, idleTime)
	if err != nil {
		return nil, err
	}
	before, err := f.work(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.watch(ctx); err != nil {
		return nil, err
	}
	first := fleetSignings / time.Since(before.at).Seconds()
	for session := range fleetSignings {
		f.upstream.end(session)
	}
	if err := f.awaitFinals(ctx, fleetSignings); err != nil {
		return nil, err
	}
	now, err := f.work(ctx)
	if err != nil {
		return nil, err
	}
	each := now.since(before).beyond(idle, fleetSignings)
	b.log("  %s: writes %s", f.name, each.streams)
	ends, polls := f.receiver.ends(), float64(f.upstream.requests.Load())
	return []figure{
		{"first events/s", 0, first}, {"final events/s", 0, float64(len(ends)) / time.Duration(ends[len(ends)-1]-f.upstream.firstTold()).Seconds()},
		{"polls a signing", 1, polls / fleetSignings}, {"CPU ms", 2, 1000 * each.cpu}, {"of NATS", 2, 1000 * each.natsCPU},
		{"messages", 1, each.messages}, {"between servers too", 1, each.allMessages}, {"KB", 1, each.kilobytes},
		{"writes", 2, each.writes}, {"in one stream", 2, each.busiestWrites},
	}, nil
}

// ends returns when the final events came, sorted.
func (r *receiver) ends() (ends []int64) {
	for session := range r.came {
		if came := r.came[session].Load(); came != 0 {
			ends = append(ends, came)
		}
	}
	slices.Sort(ends)
	return ends
}

// firstTold is when the first final answer was given.
func (u *upstream) firstTold() (first int64) {
	for session := range u.told {
		if told := u.told[session].Load(); first == 0 || told != 0 && told < first {
			first = told
		}
	}
	return first
}

// fleetPrompt measures what a fleet costs that does nothing, and how soon ends are told, as prompt does.
func (b *bench) fleetPrompt(ctx context.Context, kind fleetKind) ([]figure, error) {
	f, err := b.startFleet(ctx, kind, watchedAPI(fleetWatches))
	if err != nil {
		return nil, err
	}
	defer f.end()
	idle, err := f.idle(ctx, idleTime)
	if err != nil {
		return nil, err
	}
	if err := f.watch(ctx); err != nil {
		return nil, err
	}
	if err := f.upstream.endSome(ctx, fleetEnds, fleetEndsTime); err != nil {
		return nil, err
	}
	if err := f.awaitFinals(ctx, fleetEnds); err != nil {
		return nil, err
	}
	return append([]figure{
		{"CPU % with nothing", 2, 100 * idle.cpu / idle.seconds}, {"of NATS", 2, 100 * idle.natsCPU / idle.seconds},
		{"messages/s", 0, idle.messages / idle.seconds}, {"between servers too", 0, idle.allMessages / idle.seconds},
	}, delayFigures(delaysOf(f.upstream, f.receiver))...), nil
}

// fleetPolling measures polls through one replica, of sessions that it holds, and of others.
func (b *bench) fleetPolling(ctx context.Context) error {
	c := &comparison{
		title:    fmt.Sprintf("fleet: polls of %d sessions: ms one after the other, CPU with %d connections", fleetPolls, b.connections),
		subject:  another,
		limits:   []limit{{"ms it adds", "", 3, false}},
		compared: []ratio{{holder, embedded}, {another, embedded}},
	}
	for round := range b.rounds {
		var alone float64 // the median of the embedded engine
		for _, kind := range fleetKinds {
			measured, err := b.pollsOf(ctx, kind)
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			for _, p := range measured {
				if kind.name == embedded {
					alone = median(p.asked)
				}
				b.log("  round %d/%d: %s", round+1, b.rounds, c.add(p.name, p.figures(median(p.asked)-alone)))
			}
		}
	}
	c.print(b)
	return nil
}

// polls is what polls through one replica took.
type polls struct {
	name  string
	first []time.Duration // of a session that nobody has asked about
	asked []time.Duration // that go upstream
	known []time.Duration // of what its holder knows
	// What each costs with many connections, and of what this replica knows.
	askedCost, knownCost, hitCost cost
}

func (p polls) figures(adds float64) []figure {
	return []figure{
		{"first, median ms", 2, median(p.first)}, {"upstream, median ms", 2, median(p.asked)}, {"ms it adds", 2, adds}, {"p99 ms", 2, milliseconds(p.asked[len(p.asked)*99/100])},
		{"CPU µs", 0, 1e6 * p.askedCost.cpu}, {"of NATS", 0, 1e6 * p.askedCost.natsCPU}, {"messages", 1, p.askedCost.messages},
		{"known, median ms", 2, median(p.known)}, {"its CPU µs", 0, 1e6 * p.knownCost.cpu}, {"its NATS", 0, 1e6 * p.knownCost.natsCPU}, {"its messages", 1, p.knownCost.messages},
		{"CPU µs of a hit", 1, 1e6 * p.hitCost.cpu},
	}
}

// median is in milliseconds, of what is sorted.
func median(took []time.Duration) float64 { return milliseconds(took[len(took)/2]) }

// pollsOf measures a fleet's polls, through its first replica.
func (b *bench) pollsOf(ctx context.Context, kind fleetKind) (all []polls, err error) {
	sessions := fleetPolls * 5 / 4 // as slots are not the same for all
	f, err := b.startFleet(ctx, kind, api{sessions: kind.replicas * sessions, answer: []byte(pendingAnswer)},
		"CACHE_STALE_IF_ERROR="+fleetStale.String(), "CACHE_PENDING_TTL="+fleetWindow.String(), "WATCH_SCHEDULE=fixed", "WATCH_INTERVAL="+fleetWindow.String())
	if err != nil {
		return nil, err
	}
	defer f.end()
	// For so long a replica that has begun to hold a session looks at each poll what is stored.
	idle, err := f.idle(ctx, fleetWindow+fleetStale)
	if err != nil {
		return nil, err
	}
	mine, others, err := f.pollFirst(ctx)
	if err != nil {
		return nil, err
	}
	if kind.replicas == 1 {
		mine.name = kind.name
		err := f.pollAgain(ctx, mine, idle)
		return []polls{mine.polls}, err
	}
	mine.name, others.name = holder, another
	if err = f.pollAgain(ctx, mine, idle); err == nil {
		err = f.pollAgain(ctx, others, idle)
	}
	return []polls{mine.polls, others.polls}, err
}

// polledSessions are sessions that are polled through the first replica, and who holds each.
type polledSessions struct {
	polls
	sessions []int
	holders  []*server
}

// pollFirst polls all sessions once, and returns which of them the first replica holds, and
// which others do.
func (f *fleet) pollFirst(ctx context.Context) (mine, others *polledSessions, err error) {
	mine, others = &polledSessions{}, &polledSessions{}
	c := newClient(f.replicas[0].address, 1)
	defer c.close()
	for session := range f.upstream.sessions {
		began := time.Now()
		if _, err := c.poll(session); err != nil {
			return nil, nil, err
		}
		took := time.Since(began)
		of, by := others, f.holder(session)
		if by == f.replicas[0] {
			of = mine
		}
		if of.first = append(of.first, took); len(of.sessions) < fleetPolls {
			of.sessions, of.holders = append(of.sessions, session), append(of.holders, by)
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
	}
	slices.Sort(mine.first)
	slices.Sort(others.first)
	return mine, others, nil
}

// holder is the replica that has asked for a session.
func (f *fleet) holder(session int) *server {
	at := fmt.Sprint("127.0.0.1:", f.upstream.asked[session].Load())
	i := slices.IndexFunc(f.replicas, func(r *server) bool { return r.upstreamAddress == at })
	return f.replicas[i]
}

// pollAgain polls sessions whose window is over, and then those that their holders have just asked
// for, both one after the other and all at once; and then those that the first replica knows.
func (f *fleet) pollAgain(ctx context.Context, p *polledSessions, idle cost) (err error) {
	if _, err := f.pollInTurn(p.sessions); err != nil { // or they would be forgotten by now
		return err
	}
	for _, step := range []struct {
		known bool // by their holders
		took  *[]time.Duration
		cost  *cost // nil: one after the other
	}{{false, &p.asked, nil}, {false, nil, &p.askedCost}, {true, &p.known, nil}, {true, nil, &p.knownCost}} {
		if err := pause(ctx, fleetWindow+time.Second); err != nil {
			return err
		}
		before := f.upstream.requests.Load()
		if step.known {
			if err := p.refresh(); err != nil {
				return err
			}
		}
		if step.took != nil {
			*step.took, err = f.pollInTurn(p.sessions)
		} else {
			*step.cost, err = f.pollAtOnce(ctx, p.sessions, len(p.sessions), idle)
		}
		if err != nil {
			return err
		}
		if n := int(f.upstream.requests.Load() - before); n != len(p.sessions) {
			return fmt.Errorf("%d of %d polls went upstream: too slow for a window of %s?", n, len(p.sessions), fleetWindow)
		}
	}
	before := f.upstream.requests.Load()
	if _, err := f.pollAtOnce(ctx, p.sessions, fleetHits/4, idle); err != nil { // what came before leaves work behind
		return err
	}
	p.hitCost, err = f.pollAtOnce(ctx, p.sessions, fleetHits, idle)
	if n := f.upstream.requests.Load() - before; err == nil && n > 0 {
		return fmt.Errorf("%d hits went upstream: too slow for a window of %s", n, fleetWindow)
	}
	return err
}

// refresh polls sessions at their holders.
func (p *polledSessions) refresh() error {
	clients := map[*server]*client{}
	for i, session := range p.sessions {
		by := p.holders[i]
		if clients[by] == nil {
			clients[by] = newClient(by.address, 1)
			defer clients[by].close()
		}
		if _, err := clients[by].poll(session); err != nil {
			return err
		}
	}
	return nil
}

// pollInTurn polls sessions one after the other, and returns how long each answer took, sorted.
func (f *fleet) pollInTurn(sessions []int) (took []time.Duration, err error) {
	c := newClient(f.replicas[0].address, 1)
	defer c.close()
	for _, session := range sessions {
		began := time.Now()
		if _, err := c.poll(session); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}

// pollAtOnce polls sessions in turn, n times in all, over many connections, and returns what each
// poll has cost.
func (f *fleet) pollAtOnce(ctx context.Context, sessions []int, n int, idle cost) (each cost, err error) {
	before, err := f.work(ctx)
	if err != nil {
		return each, err
	}
	c := newClient(f.replicas[0].address, f.bench.connections)
	defer c.close()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var polling sync.WaitGroup
	for range f.bench.connections {
		polling.Go(func() {
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				if _, err := c.poll(sessions[i%len(sessions)]); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	polling.Wait()
	if err := failed.Load(); err != nil {
		return each, *err
	}
	now, err := f.work(ctx)
	return now.since(before).beyond(idle, float64(n)), err
}
