package main

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// demoKind is how the bridge came by an answer, as its Cache-Status says.
type demoKind int

const (
	demoHit demoKind = iota
	demoCollapsed
	demoMiss
	demoStale
	demoKinds
)

// demoKindOf reads the Cache-Status of the bridge.
func demoKindOf(cacheStatus string) demoKind {
	switch {
	case strings.Contains(cacheStatus, "; detail="):
		return demoStale
	case strings.Contains(cacheStatus, "; collapsed"):
		return demoCollapsed
	case strings.Contains(cacheStatus, "; hit"):
		return demoHit
	}
	return demoMiss
}

// demoTally counts what clients are told. It is safe for concurrent use, and its
// zero value is ready.
type demoTally struct {
	mu     sync.Mutex
	counts demoCounts // guarded by mu
}

// demoCounts is what a demoTally has counted.
type demoCounts struct {
	asked      int64
	answers    [demoKinds]int64
	errors     int64
	firstError string

	askedInOutage, errorsInOutage int64

	ended      int             // signings whose end a client was told
	delays     []time.Duration // sorted: from the end to the first client told
	heldDelays []time.Duration // the same from the end of the outage, where that was in between
}

func (t *demoTally) answered(kind demoKind, outage bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	c.asked++
	if outage {
		c.askedInOutage++
	}
	if err == nil {
		c.answers[kind]++
		return
	}
	c.errors++
	if outage {
		c.errorsInOutage++
	}
	if c.firstError == "" {
		c.firstError = err.Error()
	}
}

func (t *demoTally) signingEnded(delay time.Duration, held bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.ended++
	if held {
		t.counts.heldDelays = insertSorted(t.counts.heldDelays, delay)
	} else {
		t.counts.delays = insertSorted(t.counts.delays, delay)
	}
}

func insertSorted(sorted []time.Duration, d time.Duration) []time.Duration {
	at, _ := slices.BinarySearch(sorted, d)
	return slices.Insert(sorted, at, d)
}

// fill sets what the tally knows of the figures.
func (t *demoTally) fill(f *demoFigures) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	f.Asked, f.Answers, f.Errors, f.FirstError = c.asked, c.answers, c.errors, c.firstError
	f.AskedInOutage, f.ErrorsInOutage = c.askedInOutage, c.errorsInOutage
	f.Ended, f.EndedInOutage = c.ended, len(c.heldDelays)
	if n := len(c.delays); n > 0 {
		f.MedianDelay, f.WorstDelay = c.delays[n/2], c.delays[n-1]
	}
	if n := len(c.heldDelays); n > 0 {
		f.WorstHeldDelay = c.heldDelays[n-1]
	}
}
