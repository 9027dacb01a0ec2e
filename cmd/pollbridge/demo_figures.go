package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// demoFigures is everything that is shown, at one moment.
type demoFigures struct {
	Clients, Sessions int // as the flags want them

	Length, Elapsed time.Duration
	Phase           demoPhase
	PhaseEnds       time.Duration // how long until the outage begins or ends; 0 in other phases

	Asked   int64 // polls of clients that were answered
	Sent    int64 // polls that reached the upstream
	Answers [demoKinds]int64
	Errors  int64 // what clients were told wrongly or not at all
	// FirstError is one of them, empty if there is none.
	FirstError string

	UnderWay, Ended int
	Breaker         demoBreaker

	// The delay between the end of a signing and the first client told; 0 while
	// none has ended.
	MedianDelay, WorstDelay time.Duration

	OutageLasted   time.Duration // so far
	AskedInOutage  int64
	ErrorsInOutage int64
	Struck         int64         // calls of the bridge that met the outage
	NoticedAfter   time.Duration // from the end of the outage to the first new answer; 0 before it
	EndedInOutage  int           // signings whose end could only be told after it
	WorstHeldDelay time.Duration // of these, from the end of the outage

	Webhooks         int64 // events that the receiver got, each counted once
	WebhooksUnsigned int64 // whose signature did not fit
	// The delay between the end of a signing and its webhook; 0 while none has come.
	WebhookMedian, WebhookWorst time.Duration

	History []demoSample
	Sample  time.Duration // the time that each of them stands for
}

// Saved is the share of polls that the upstream was spared, in percent.
func (f demoFigures) Saved() float64 {
	if f.Asked == 0 {
		return 0
	}
	return 100 * (1 - float64(f.Sent)/float64(f.Asked))
}

// demoSample is a part of the demonstration's time.
type demoSample struct {
	Asked, Sent int64
	Down        bool // the upstream was, for a part of it at least
}

// demoBreaker is the state of the bridge's circuit breaker.
type demoBreaker int

const (
	demoBreakerClosed demoBreaker = iota
	demoBreakerHalfOpen
	demoBreakerOpen
)

// demoBreakerIn reads the state from the metrics of the bridge.
func demoBreakerIn(metrics prometheus.Gatherer) demoBreaker {
	families, _ := metrics.Gather() // what another collector cannot tell is no matter here
	for _, family := range families {
		if family.GetName() == "pollbridge_breaker_state" {
			return demoBreaker(family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return demoBreakerClosed
}

// demoSamples is how many samples a whole demonstration has at most.
const demoSamples = 30

// demoHistory cuts the counts into samples. Its owner is one goroutine.
type demoHistory struct {
	period  time.Duration
	samples []demoSample
	down    bool
	// What had been counted at the end of the last sample.
	until       time.Duration
	asked, sent int64
}

func newDemoHistory(length time.Duration) *demoHistory {
	return &demoHistory{period: max(time.Second, length/demoSamples)}
}

// note takes the figures into account, and adds what is known of the past to them.
func (h *demoHistory) note(f *demoFigures) {
	h.down = h.down || f.Phase.down()
	if f.Elapsed-h.until >= h.period && len(h.samples) < demoSamples {
		h.samples = append(h.samples, demoSample{Asked: f.Asked - h.asked, Sent: f.Sent - h.sent, Down: h.down})
		h.until, h.asked, h.sent, h.down = h.until+h.period, f.Asked, f.Sent, f.Phase.down()
	}
	f.History, f.Sample = h.samples, h.period
}
