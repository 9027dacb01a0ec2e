package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	collapseClients = 64
	collapseTime    = 5 * time.Second
	// collapseDelay makes the upstream slow enough for polls to overlap.
	collapseDelay = 100 * time.Millisecond

	collapseMostRequests = 7
	collapseMostAtOnce   = 1
)

// runCollapse has many clients poll one session of an upstream that takes its
// time, and counts what reaches it.
func runCollapse(ctx context.Context, l *lab, r *report) (err error) {
	if l.wrk == "" {
		r.line("collapse: left out, it needs wrk")
		return nil
	}
	w, err := l.pollLoad(1)
	if err != nil {
		return err
	}
	j := job{sessions: 1, answer: []byte(pendingAnswer), freshFor: time.Second}
	servers, stop, err := startAll(ctx, l, caches(l), j, collapseDelay)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	var rows, bars [][]string
	for _, s := range servers {
		l.log("  %s", s.peer.name)
		taken, err := measure(ctx, s, w, collapseClients, collapseTime)
		if err != nil {
			return err
		}
		atOnce := s.up.ledger.most.Load()
		rows = append(rows, []string{
			s.peer.name, fmt.Sprint(taken.load.requests), fmt.Sprint(taken.polls), fmt.Sprint(atOnce), fmt.Sprint(taken.load.failed),
		})
		if s.peer.name == pollbridge {
			bars = collapseBars(taken.polls, atOnce)
		}
	}
	title := fmt.Sprintf("collapse: %d clients poll one session for %s, the upstream takes %s", collapseClients, collapseTime, collapseDelay)
	r.table(title, []string{"server", "polls answered", "upstream requests", "most at once", "failed"}, rows)
	r.bars(bars)
	return nil
}

func collapseBars(polls, atOnce int64) [][]string {
	return [][]string{
		{"upstream requests", fmt.Sprint(polls), fmt.Sprintf("at most %d", collapseMostRequests), verdict(polls <= collapseMostRequests)},
		{"in flight at once", fmt.Sprint(atOnce), fmt.Sprintf("at most %d", collapseMostAtOnce), verdict(atOnce <= collapseMostAtOnce)},
	}
}
