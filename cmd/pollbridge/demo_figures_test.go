package main

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestDemoTally(t *testing.T) {
	var tally demoTally
	tally.answered(demoHit, false, nil)
	tally.answered(demoStale, true, nil)
	tally.answered(demoStale, true, errors.New("first"))
	tally.answered(demoMiss, false, errors.New("second"))
	for _, ms := range []time.Duration{300, 100, 200} {
		tally.signingEnded(ms*time.Millisecond, false)
	}
	tally.signingEnded(4*time.Second, true)

	got := demoFigures{}
	tally.fill(&got)
	if got.Asked != 4 || got.Answers != [demoKinds]int64{demoHit: 1, demoStale: 1} || got.Errors != 2 || got.FirstError != "first" {
		t.Errorf("4 polls, 2 with errors: %+v", got)
	}
	if got.AskedInOutage != 2 || got.ErrorsInOutage != 1 {
		t.Errorf("2 polls in the outage, 1 with an error: %+v", got)
	}
	if got.Ended != 4 || got.MedianDelay != 200*time.Millisecond || got.WorstDelay != 300*time.Millisecond {
		t.Errorf("delays of 100, 200 and 300 ms: %+v", got)
	}
	if got.EndedInOutage != 1 || got.WorstHeldDelay != 4*time.Second {
		t.Errorf("a delay of 4 s in the outage: %+v", got)
	}
}

func TestDemoKindOf(t *testing.T) {
	for header, want := range map[string]demoKind{
		"pollbridge; hit; ttl=1":                          demoHit,
		"pollbridge; fwd=miss; ttl=1":                     demoMiss,
		"pollbridge; fwd=stale; ttl=1":                    demoMiss,
		"pollbridge; fwd=miss; collapsed; ttl=1":          demoCollapsed,
		"pollbridge; fwd=stale; collapsed; ttl=1":         demoCollapsed,
		"pollbridge; hit; ttl=-3; detail=circuit_open":    demoStale,
		"pollbridge; fwd=stale; ttl=-3; detail=timeout":   demoStale,
		"pollbridge; fwd=stale; ttl=0; detail=bad_status": demoStale,
	} {
		if got := demoKindOf(header); got != want {
			t.Errorf("demoKindOf(%q) = %d, want %d", header, got, want)
		}
	}
}

func TestDemoHistory(t *testing.T) {
	h := newDemoHistory(30 * time.Second)
	var f demoFigures
	for quarter := 1; quarter <= 124; quarter++ {
		f.Elapsed = time.Duration(quarter) * 250 * time.Millisecond
		f.Asked, f.Sent = int64(quarter*10), int64(quarter)
		f.Phase = demoUp
		if quarter == 6 {
			f.Phase = demoRefuses
		}
		h.note(&f)
	}
	want := slices.Repeat([]demoSample{{Asked: 40, Sent: 4}}, 30) // and not 31
	want[1].Down = true
	if !slices.Equal(f.History, want) || f.Sample != time.Second {
		t.Errorf("History = %v of %v each, want %v of 1s", f.History, f.Sample, want)
	}
}

func TestDemoBreakerIn(t *testing.T) {
	registry := prometheus.NewRegistry()
	if got := demoBreakerIn(registry); got != demoBreakerClosed {
		t.Errorf("without a metric the breaker is %v, want closed", got)
	}
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pollbridge_breaker_state"}, []string{"upstream"})
	registry.MustRegister(gauge)
	gauge.WithLabelValues("upstream.test").Set(2)
	if got := demoBreakerIn(registry); got != demoBreakerOpen {
		t.Errorf("with 2 the breaker is %v, want open", got)
	}
}
