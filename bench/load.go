package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A loadScenario measures what a request costs while many connections make it.
type loadScenario struct {
	name, title string
	against     []string // servers
	api         api
	passThrough bool // gets one small answer, instead of polling
	limits      []limit
}

// Figures that limits are about.
const (
	cpuPerRequest    = "CPU s per 100,000"
	upstreamRequests = "upstream requests/s"
	mostAtOnce       = "most at once"
)

func loadScenarios() []loadScenario {
	caches := []string{bareFiber, nginx, varnish}
	pending := api{sessions: 1, answer: []byte(pendingAnswer), freshFor: time.Second}
	many, slow := pending, pending
	many.sessions = 1000
	slow.delay = 100 * time.Millisecond // enough for polls to overlap
	final := api{sessions: 1, answer: finalAnswers(750_000)(0), freshFor: 15 * time.Minute}
	return []loadScenario{
		{"hot", "one pending session, polled by everyone", caches, pending, false,
			[]limit{{cpuPerRequest, bareFiber, 1.25, false}, {cpuPerRequest, nginx, 0.85, false}}},
		{"turn", "1,000 pending sessions in turn", caches, many, false, []limit{{cpuPerRequest, nginx, 0.75, false}}},
		{"final", "a final answer of 1 MB", caches, final, false, []limit{{cpuPerRequest, varnish, 1, false}}},
		{"collapse", "one pending session, polled by everyone, and an upstream that takes 100 ms", caches[1:], slow, false,
			[]limit{{upstreamRequests, "", 1.4, false}, {mostAtOnce, "", 1, false}}},
		{"passthrough", fmt.Sprintf("a GET answered with %d bytes that nobody may keep", len(smallAnswer)),
			[]string{nginx, caddy}, api{}, true, []limit{{cpuPerRequest, caddy, 0.6, false}}},
	}
}

func (s loadScenario) scenario() scenario {
	return scenario{s.name, s.title, append([]string{wrk}, s.against...), s.run}
}

func (s loadScenario) run(ctx context.Context, b *bench, names []string) error {
	method, path, check := http.MethodPost, statusFormat, verifyPoll
	if s.passThrough {
		method, path, check = http.MethodGet, smallPath, verifySmall
	}
	l, err := b.newLoad(method, path, max(1, s.api.sessions))
	if err != nil {
		return err
	}
	var servers []*server
	for _, name := range names {
		server, err := b.startServer(ctx, name, s.api)
		if err != nil {
			return err
		}
		defer server.end()
		if err := check(ctx, server); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.log("  %s: warming up", name)
		if _, err := l.run(ctx, server.address, time.Second); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		servers = append(servers, server)
	}
	c := &comparison{title: s.name + ": " + s.title, limits: s.limits}
	return b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) {
		return l.measure(ctx, servers[i], b.duration)
	})
}

// measure sends a load to a server for a time.
func (l *load) measure(ctx context.Context, s *server, d time.Duration) ([]figure, error) {
	before, polls := usageOf(s.pid), s.upstream.requests.Load()
	s.upstream.most.Store(0)
	r, err := l.run(ctx, s.address, d)
	cpu := usageOf(s.pid).cpu - before.cpu
	per100k := 100_000 / float64(r.requests)
	return []figure{
		{cpuPerRequest, 2, cpu.Seconds() * per100k},
		{"with the load's", 2, (cpu + r.cpu).Seconds() * per100k},
		{"requests/s", 0, float64(r.requests) / r.took.Seconds()},
		{"p99 ms", 1, milliseconds(r.p99)},
		{upstreamRequests, 1, float64(s.upstream.requests.Load()-polls) / r.took.Seconds()},
		{mostAtOnce, 0, float64(s.upstream.most.Load())},
		{"failed", 0, float64(r.failed)},
	}, errors.Join(err, s.dead())
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// verifySmall and verifyPoll ask a server once before it is measured.
func verifySmall(ctx context.Context, s *server) error {
	return answersOK("http://" + s.address + smallPath)(ctx)
}

func verifyPoll(_ context.Context, s *server) error {
	c := newClient(s.address, 1)
	defer c.close()
	answer, err := c.poll(0)
	if err == nil && string(answer) != string(s.upstream.answer) {
		err = fmt.Errorf("answered %d bytes, want %d: %.200q", len(answer), len(s.upstream.answer), answer)
	}
	return err
}
