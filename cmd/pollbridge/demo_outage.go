package main

import (
	"context"
	"sync"
	"time"

	"pollbridge/simulator"
)

// demoPhase is what the upstream is doing.
type demoPhase int

const (
	demoUp      demoPhase = iota
	demoRefuses           // it answers every call with an error
	demoHangs             // it answers no call
	demoReturns           // it is up again, but the bridge has not noticed yet
	demoUpAgain
)

func (p demoPhase) down() bool { return p == demoRefuses || p == demoHangs }

// demoLongestOutage is half of the time for which the bridge bridges one
// (cache.stale_if_error), however long the demonstration.
const demoLongestOutage = time.Minute

// demoFaults switches faults; see simulator.Simulator.
type demoFaults interface {
	SetFault(simulator.Fault) error
	ClearFault()
}

// demoOutage takes the upstream down in the middle of the demonstration: for the
// first half of the outage it refuses, then it hangs.
type demoOutage struct {
	faults demoFaults
	after  time.Duration // from the start
	length time.Duration

	// starting is read-locked from the start of a signing until its first poll was
	// answered. The outage waits for that: the bridge carries signings that it
	// knows through an outage, and has nothing to say about any other.
	starting sync.RWMutex

	mu    sync.Mutex
	times demoTimes // guarded by mu
}

// demoTimes is how far the outage is. The times that have not come are zero.
type demoTimes struct {
	phase             demoPhase
	down, up, noticed time.Time
}

func newDemoOutage(faults demoFaults, duration time.Duration) *demoOutage {
	return &demoOutage{faults: faults, after: duration * 2 / 5, length: min(duration/5, demoLongestOutage)}
}

// run is over when the outage is, or when ctx ends; the upstream is up then.
func (o *demoOutage) run(ctx context.Context) {
	defer o.lift()
	if !demoPause(ctx, o.after) {
		return
	}
	o.strike()
	if !demoPause(ctx, o.length/2) {
		return
	}
	o.enter(demoHangs, simulator.Hang)
	demoPause(ctx, o.length-o.length/2)
}

func (o *demoOutage) strike() {
	o.starting.Lock()
	defer o.starting.Unlock()
	o.enter(demoRefuses, simulator.Error502)
}

// enter changes the fault under the lock, so that no call can fail before its
// outage has begun.
func (o *demoOutage) enter(phase demoPhase, mode simulator.Mode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.times.down.IsZero() {
		o.times.down = time.Now()
	}
	o.times.phase = phase
	if err := o.faults.SetFault(simulator.Fault{Mode: mode}); err != nil {
		panic(err) // a fault of this file
	}
}

func (o *demoOutage) lift() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.times.phase.down() {
		return
	}
	o.faults.ClearFault()
	o.times.phase, o.times.up = demoReturns, time.Now()
}

// answered notes that the upstream gave an answer for a client.
func (o *demoOutage) answered(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.times.phase == demoReturns {
		o.times.phase, o.times.noticed = demoUpAgain, at
	}
}

func (o *demoOutage) now() demoTimes {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.times
}

// delay is how long it took until a client was told what had happened. If the
// outage was in between, the time until its end is left out, and held is true.
func (t demoTimes) delay(happened, told time.Time) (d time.Duration, held bool) {
	if t.up.IsZero() || told.Before(t.down) || !t.noticed.IsZero() && happened.After(t.noticed) {
		return told.Sub(happened), false
	}
	if happened.Before(t.up) {
		happened = t.up
	}
	return told.Sub(happened), true
}

// demoPause is false if ctx ended before d was over.
func demoPause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fill sets what is known of the outage in the figures.
func (o *demoOutage) fill(f *demoFigures, now time.Time) {
	t := o.now()
	f.Phase = t.phase
	switch {
	case t.phase == demoUp:
		f.PhaseEnds = max(0, o.after-f.Elapsed)
	case t.phase.down():
		f.OutageLasted = now.Sub(t.down)
		f.PhaseEnds = max(0, o.length-f.OutageLasted)
	default:
		f.OutageLasted = t.up.Sub(t.down)
	}
	if !t.noticed.IsZero() {
		f.NoticedAfter = t.noticed.Sub(t.up)
	}
}
