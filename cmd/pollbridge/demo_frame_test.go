package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// demoInOutage is 17 seconds into a demonstration of 30.
func demoInOutage() demoFigures {
	f := demoFigures{
		Clients: 50, Sessions: 20, Length: 30 * time.Second, Elapsed: 17 * time.Second,
		Phase: demoHangs, PhaseEnds: time.Second - time.Millisecond,
		Asked: 12873, Sent: 3311, Answers: [demoKinds]int64{10549, 123, 2032, 169},
		UnderWay: 20, Ended: 24, Breaker: demoBreakerOpen,
		MedianDelay: 730 * time.Millisecond, WorstDelay: 1540 * time.Millisecond,
		Webhooks: 48, WebhookMedian: 610 * time.Millisecond, WebhookWorst: 1400 * time.Millisecond,
		OutageLasted: 5 * time.Second, AskedInOutage: 267, Struck: 74, Sample: time.Second,
	}
	for i := range int64(17) {
		f.History = append(f.History, demoSample{Asked: 700 - 20*i, Sent: 200 - 12*i, Down: i >= 12})
	}
	f.History[16].Sent = 0
	return f
}

// demoAfter is the end of the same one.
func demoAfter() demoFigures {
	f := demoInOutage()
	f.Phase, f.PhaseEnds, f.Elapsed, f.Breaker = demoUpAgain, 0, f.Length, demoBreakerClosed
	f.OutageLasted, f.NoticedAfter = 6*time.Second, 2500*time.Millisecond
	f.EndedInOutage, f.WorstHeldDelay = 18, 2980*time.Millisecond
	return f
}

func demoPainted(f demoFigures, width int) string {
	var text strings.Builder
	for _, line := range demoFrame(f) {
		text.WriteString(strings.TrimRight(line.paint(width, false), " ") + "\n")
	}
	return text.String()
}

func TestDemoFrame(t *testing.T) {
	for _, test := range []struct {
		name    string
		figures demoFigures
		want    string
	}{
		{"at the start", demoFigures{Clients: 1, Sessions: 1, Length: 5 * time.Minute, PhaseEnds: 2 * time.Minute}, `
pollbridge demo: 1 client, 1 signing at a time                          5m left

the upstream is up: it gets one poll a second for each signing     outage in 2m

polls asked by clients          0
polls sent upstream             0
saved                           –

answers: hit                    0  from memory
         collapsed              0  together with another client's poll
         miss                   0  the upstream was asked
         stale                  0  the upstream gave no answer, so its last one
errors seen by clients          0

signings under way              0  0 ended so far
circuit breaker            closed  the upstream is asked
told after the end              –  median, from a signing's end to a client
                                –  at worst
     after the outage           –
webhooks delivered              0  signed, to a receiver of this demonstration
`},
		{"in the outage", demoInOutage(), `
pollbridge demo: 50 clients, 20 signings at a time                    13 s left

the upstream is DOWN (does not answer): clients are told "waiting"  back in 1 s

polls asked by clients     12,873  █████▇▇▇▇▆▆▆▆▆▅▅▅  380/s
polls sent upstream         3,311  ▃▃▃▂▂▂▂▂▂▂▁▁▁▁▁▁   0/s
saved                        74 %

answers: hit               10,549  from memory
         collapsed            123  together with another client's poll
         miss               2,032  the upstream was asked
         stale                169  the upstream gave no answer, so its last one
errors seen by clients          0

signings under way             20  24 ended so far
circuit breaker              open  the upstream is left alone for a moment
told after the end         0.73 s  median, from a signing's end to a client
                           1.54 s  at worst
     after the outage           –
webhooks delivered             48  0.61 s after the end, 1.40 s at worst
`},
		{"at the end", demoAfter(), `
pollbridge demo: 50 clients, 20 signings at a time                     0 s left

the upstream is up again: signings go on where they were

polls asked by clients     12,873  █████▇▇▇▇▆▆▆▆▆▅▅▅  380/s
polls sent upstream         3,311  ▃▃▃▂▂▂▂▂▂▂▁▁▁▁▁▁   0/s
saved                        74 %

answers: hit               10,549  from memory
         collapsed            123  together with another client's poll
         miss               2,032  the upstream was asked
         stale                169  the upstream gave no answer, so its last one
errors seen by clients          0

signings under way             20  24 ended so far
circuit breaker            closed  the upstream is asked
told after the end         0.73 s  median, from a signing's end to a client
                           1.54 s  at worst
     after the outage      2.98 s  at worst; held up: 18 signings
webhooks delivered             48  0.61 s after the end, 1.40 s at worst
`},
	} {
		if got := "\n" + demoPainted(test.figures, 79); got != test.want {
			t.Errorf("%s: the table is%s\nwant%s", test.name, got, test.want)
		}
	}
}

func TestDemoFrameIsCutToTheTerminal(t *testing.T) {
	f := demoInOutage()
	f.Errors, f.FirstError = 1, strings.Repeat("long ", 100)
	for line := range strings.Lines(demoPainted(f, 40)) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 40 {
			t.Errorf("painted for 40 columns, a line has %d: %q", n, line)
		}
	}
}

func TestDemoLineColours(t *testing.T) {
	line := demoLine{{"DOWN", demoBad}, {" for ", demoPlain}, {"now", demoFaint}}
	for _, test := range []struct {
		width  int
		colour bool
		want   string
	}{
		{80, true, "\x1b[1;31mDOWN\x1b[0m for \x1b[2mnow\x1b[0m"},
		{80, false, "DOWN for now"},
		{6, true, "\x1b[1;31mDOWN\x1b[0m f"}, // a cut leaves no colour behind
		{0, true, ""},
	} {
		if got := line.paint(test.width, test.colour); got != test.want {
			t.Errorf("paint(%d, %t) = %q, want %q", test.width, test.colour, got, test.want)
		}
	}
}

func TestDemoWhole(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Millisecond: "1 s", 119 * time.Second: "119 s", 2 * time.Minute: "2m",
		150 * time.Second: "2m30s", 90 * time.Minute: "1h30m", -time.Millisecond: "0 s",
	} {
		if got := demoWhole(d); got != want {
			t.Errorf("demoWhole(%v) = %q, want %q", d, got, want)
		}
	}
}
