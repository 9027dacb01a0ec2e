package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A statusScenario polls sessions that are all in the same state.
type statusScenario struct {
	name, title string
	sessions    int
	answer      []byte
	freshFor    time.Duration // for the caches that have to be told
	bars        []bar
}

func hotScenario() statusScenario {
	return statusScenario{
		name: "hot", title: "one pending session, polled by everyone",
		sessions: 1, answer: []byte(pendingAnswer), freshFor: time.Second,
		bars: []bar{cpuAtMost(1.2, bareFiber), cpuAtMost(1, nginx)},
	}
}

func turnScenario() statusScenario {
	return statusScenario{
		name: "turn", title: "1,000 pending sessions in turn",
		sessions: 1000, answer: []byte(pendingAnswer), freshFor: time.Second,
		bars: []bar{cpuAtMost(0.75, nginx)},
	}
}

func finalScenario() statusScenario {
	return statusScenario{
		name: "final", title: "a final answer of 1 MB",
		sessions: 1, answer: finalAnswer(), freshFor: 15 * time.Minute,
		bars: []bar{rateAtLeast(1.2, varnish), efficiencyAtLeast(1.2, varnish)},
	}
}

func (s statusScenario) scenario() scenario { return scenario{s.name, s.title, s.run} }

func (s statusScenario) run(ctx context.Context, l *lab, r *report) (err error) {
	if l.wrk == "" {
		r.line("%s: left out, it needs wrk", s.name)
		return nil
	}
	w, err := l.pollLoad(s.sessions)
	if err != nil {
		return err
	}
	j := job{sessions: s.sessions, answer: s.answer, freshFor: s.freshFor}
	servers, stop, err := startAll(ctx, l, statusPeers(l), j, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, server := range servers {
		if err := verify(ctx, server, s.answer); err != nil {
			return fmt.Errorf("%s: %w", server.peer.name, err)
		}
	}
	all, err := rounds(ctx, l, servers, w)
	if err != nil {
		return err
	}
	s.report(l, r, all)
	return nil
}

func (s statusScenario) report(l *lab, r *report, all []series) {
	fiber, _ := find(all, bareFiber)
	var rows [][]string
	for _, one := range all {
		cpu := one.values(sample.cpuPer100k)
		rows = append(rows, []string{
			one.name,
			spreadOf(cpu).text(2),
			ratioOf(cpu, fiber.values(sample.cpuPer100k)).text(2),
			spreadOf(one.values(sample.allCPUPer100k)).text(2),
			spreadOf(one.values(sample.perSecond)).text(0),
			spreadOf(one.values(sample.p99Milliseconds)).text(1),
			fmt.Sprint(one.polls()),
			fmt.Sprint(one.failed()),
		})
	}
	title := fmt.Sprintf("%s: %s (%s in all for each)", s.name, s.title, time.Duration(l.rounds)*l.duration)
	r.table(title, []string{"server", "CPU s per 100,000", "× bare Fiber", "with the load's", "requests/s", "p99 ms", "upstream requests", "failed"}, rows)
	r.bars(judge(all, s.bars))
}

// verify asks a server once before it is measured, for it to be known that it
// answers what it should, and that it takes another credential for another
// session: a cache that did not would be quick and useless.
func verify(ctx context.Context, s *server, want []byte) error {
	if err := expect(ctx, s, statusBody, want); err != nil {
		return err
	}
	if !s.peer.keysByBody {
		return nil
	}
	before := s.up.ledger.total.Load()
	other := strings.Replace(statusBody, "0b5e55ed", "0b5e55ee", 1)
	if err := expect(ctx, s, other, want); err != nil {
		return err
	}
	if s.up.ledger.total.Load() == before {
		return errors.New("answered one credential with what another one had asked for")
	}
	return nil
}

// expect polls session 0 and compares the answer.
func expect(ctx context.Context, s *server, body string, want []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+statusPath(0), strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
		return fmt.Errorf("answered %s with %d bytes, want 200 with %d: %.200s", res.Status, len(got), len(want), got)
	}
	return nil
}
