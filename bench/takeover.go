package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	takeoverWatches = 100_000
	takeoverMost    = 2 * time.Second
	takeoverLook    = 20 * time.Millisecond
	takeoverBound   = 30 * time.Second
)

// runTakeover kills pollbridge while many sessions are watched, and measures how long
// after its next start all of them are watched again, and polled.
func runTakeover(ctx context.Context, l *lab, r *report) (err error) {
	if l.pollbridge == "" {
		r.line("takeover: left out, it needs pollbridge")
		return nil
	}
	b, err := startBridge(ctx, l, takeoverWatches, "store: {sync: interval}\ncache: {pending_ttl: 10s}\nwatch: {interval: 10s, deadline: 1h}\n")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	l.log("  watching %d sessions", takeoverWatches)
	if err := b.watch(ctx, l, 0, takeoverWatches); err != nil {
		return err
	}
	var ready, watched, polled []float64
	for round := range l.rounds {
		time.Sleep(settlingPause)
		t, err := b.takeOver(ctx, l)
		if err != nil {
			return err
		}
		l.log("  round %d/%d: ready after %.2f s, all watched after %.2f s, the first poll after %.2f s; load average %s",
			round+1, l.rounds, t.ready.Seconds(), t.watched.Seconds(), t.polled.Seconds(), loadAverage())
		ready = append(ready, t.ready.Seconds())
		watched = append(watched, t.watched.Seconds())
		polled = append(polled, t.polled.Seconds())
	}
	all := spreadOf(watched)
	r.table(fmt.Sprintf("takeover: %d watched sessions, after SIGKILL", takeoverWatches), []string{"seconds from the start of the process", ""}, [][]string{
		{"until it is ready", spreadOf(ready).text(2)},
		{"until all are watched again", all.text(2)},
		{"until the upstream sees the first poll", spreadOf(polled).text(2)},
	})
	r.bars([][]string{{"100,000 watches taken up again", fmt.Sprintf("%.2f s", all.median), "under " + takeoverMost.String(), verdict(all.median < takeoverMost.Seconds())}})
	return nil
}

// takeover is how long after the start of a process what was seen of it.
type takeover struct{ ready, watched, polled time.Duration }

// takeOver kills the process, starts it again, and waits until all sessions are watched
// and polled as before.
func (b *bridge) takeOver(ctx context.Context, l *lab) (t takeover, err error) {
	if err := b.kill(); err != nil {
		return t, err
	}
	asked, began := b.signer.polls.Load(), time.Now()
	if err := b.run(l); err != nil {
		return t, err
	}
	isReady := answersOK("http://" + b.admin + "/readyz")
	for t.ready == 0 || t.watched == 0 || t.polled == 0 {
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-time.After(takeoverLook):
		}
		if took := time.Since(began); took > takeoverBound {
			return t, errors.Join(b.dead(), fmt.Errorf("not within %s: %d watches polled as before", takeoverBound, takeoverWatches))
		}
		if t.polled == 0 && b.signer.polls.Load() > asked {
			t.polled = time.Since(began)
		}
		if t.ready == 0 && isReady(ctx) == nil {
			t.ready = time.Since(began)
		}
		if t.ready != 0 && t.watched == 0 {
			n, err := b.gauge(ctx, "pollbridge_watches")
			if err != nil {
				return t, err
			}
			if n >= takeoverWatches {
				t.watched = time.Since(began)
			}
		}
	}
	return t, nil
}

// gauge returns one of the metrics that pollbridge tells, which has no labels.
func (b *bridge) gauge(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}
