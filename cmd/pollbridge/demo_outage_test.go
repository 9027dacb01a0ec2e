package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/simulator"
)

// demoFaultLog remembers which faults were switched on, and when.
type demoFaultLog struct {
	began time.Time
	noted []demoFaultAt
}

type demoFaultAt struct {
	mode simulator.Mode
	at   time.Duration
}

func (l *demoFaultLog) SetFault(f simulator.Fault) error {
	l.noted = append(l.noted, demoFaultAt{f.Mode, time.Since(l.began)})
	return nil
}

func (l *demoFaultLog) ClearFault() { l.SetFault(simulator.Fault{Mode: simulator.None}) }

func TestDemoOutage(t *testing.T) {
	for _, test := range []struct {
		name             string
		duration, ctrlC  time.Duration
		want             []demoFaultAt
		phase, afterNews demoPhase
	}{
		{"usual", 30 * time.Second, time.Hour, []demoFaultAt{
			{simulator.Error502, 12 * time.Second}, {simulator.Hang, 15 * time.Second}, {simulator.None, 18 * time.Second},
		}, demoReturns, demoUpAgain},
		{"long, so that no answer gets too old", time.Hour, 2 * time.Hour, []demoFaultAt{
			{simulator.Error502, 24 * time.Minute}, {simulator.Hang, 24*time.Minute + 30*time.Second}, {simulator.None, 25 * time.Minute},
		}, demoReturns, demoUpAgain},
		{"ended before it", 30 * time.Second, time.Second, nil, demoUp, demoUp},
		{"ended in it", 30 * time.Second, 13 * time.Second, []demoFaultAt{
			{simulator.Error502, 12 * time.Second}, {simulator.None, 13 * time.Second},
		}, demoReturns, demoUpAgain},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &demoFaultLog{began: time.Now()}
			o := newDemoOutage(log, test.duration)
			ctx, cancel := context.WithTimeout(t.Context(), test.ctrlC)
			defer cancel()
			o.run(ctx)
			if !slices.Equal(log.noted, test.want) {
				t.Errorf("%s: faults %v, want %v", test.name, log.noted, test.want)
			}
			if got := o.now().phase; got != test.phase {
				t.Errorf("%s: phase %d at the end, want %d", test.name, got, test.phase)
			}
			o.answered(time.Now())
			if got := o.now().phase; got != test.afterNews {
				t.Errorf("%s: phase %d after a new answer, want %d", test.name, got, test.afterNews)
			}
		})
	}
}

func TestDemoOutageWaitsForStarts(t *testing.T) {
	o := newDemoOutage(&demoFaultLog{}, 10*time.Second)
	o.starting.RLock()
	var striking sync.WaitGroup
	striking.Go(o.strike)
	for o.starting.TryRLock() { // until strike waits
		o.starting.RUnlock()
		runtime.Gosched()
	}
	if got := o.now().phase; got != demoUp {
		t.Errorf("phase %d while a signing was being started, want %d", got, demoUp)
	}
	o.starting.RUnlock()
	striking.Wait()
	if got := o.now().phase; got != demoRefuses {
		t.Errorf("phase %d after the start, want %d", got, demoRefuses)
	}
}

func TestDemoDelay(t *testing.T) {
	began := time.Now()
	at := func(second int) time.Time { return began.Add(time.Duration(second) * time.Second) }
	over := demoTimes{phase: demoUpAgain, down: at(12), up: at(18), noticed: at(20)}
	for _, test := range []struct {
		name           string
		times          demoTimes
		happened, told int
		want           time.Duration
		held           bool
	}{
		{"before any outage", demoTimes{}, 3, 4, time.Second, false},
		{"in the outage, from memory", demoTimes{phase: demoHangs, down: at(12)}, 11, 13, 2 * time.Second, false},
		{"before it began", over, 10, 11, time.Second, false},
		{"just before it, told after it", over, 11, 21, 3 * time.Second, true},
		{"in it", over, 15, 21, 3 * time.Second, true},
		{"before the bridge had noticed its end", over, 19, 21, 2 * time.Second, true},
		{"after it", over, 22, 23, time.Second, false},
	} {
		got, held := test.times.delay(at(test.happened), at(test.told))
		if got != test.want || held != test.held {
			t.Errorf("%s: delay = %v, %t; want %v, %t", test.name, got, held, test.want, test.held)
		}
	}
}
