package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"pollbridge/simulator"

	"github.com/dustin/go-humanize"
)

// demoFigures is everything that is shown, at one moment.
type demoFigures struct {
	elapsed       time.Duration
	asked, sent   int64 // polls of clients, and those that reached the upstream
	errors        int64 // what clients were told wrongly or not at all
	firstError    string
	webhooks      int64
	clientDelays  []time.Duration // sorted: from a signing's end to the first client told
	webhookDelays []time.Duration // and to its webhook
	breaker       string
	fault         simulator.Mode // empty before the outage, None after it
	up            time.Time      // the end of the outage
}

// addDelay notes that somebody was told of the end of a signing. The time of an outage in
// between does not count.
func (f *demoFigures) addDelay(delays *[]time.Duration, ended time.Time) {
	if ended.Before(f.up) {
		ended = f.up
	}
	delay := time.Since(ended)
	at, _ := slices.BinarySearch(*delays, delay)
	*delays = slices.Insert(slices.Clip(*delays), at, delay) // in a copy: these are being shown
}

// demoNews is what is happening, and what that means for clients.
var demoNews = map[simulator.Mode]string{
	"":                 "the upstream is up",
	simulator.Error502: `the upstream is DOWN (answers 502), clients are told "waiting"`,
	simulator.Hang:     `the upstream is DOWN (does not answer), clients are told "waiting"`,
	simulator.None:     "the upstream is up again, signings go on where they were",
}

func (f demoFigures) saved() string {
	return fmt.Sprintf("%d %%", 100*max(0, f.asked-f.sent)/max(1, f.asked))
}

func (f demoFigures) table() string {
	var table strings.Builder
	row := func(label, value, note string) {
		table.WriteString(strings.TrimRight(fmt.Sprintf("%-24s%9s  %s", label, value, note), " ") + "\n")
	}
	delays := func(label string, sorted []time.Duration, whom string) {
		if n := len(sorted); n > 0 {
			row(label, fmt.Sprintf("%.2f s", sorted[n/2].Seconds()), fmt.Sprintf("until %s, %.2f s at worst", whom, sorted[n-1].Seconds()))
		}
	}
	fmt.Fprintf(&table, "pollbridge demo, %.0f s: %s\n\n", f.elapsed.Seconds(), demoNews[f.fault])
	row("polls asked by clients", humanize.Comma(f.asked), "")
	row("polls sent upstream", humanize.Comma(f.sent), "")
	row("saved", f.saved(), "")
	row("errors seen by clients", humanize.Comma(f.errors), f.firstError)
	row("circuit breaker", f.breaker, "")
	row("signings ended", humanize.Comma(int64(len(f.clientDelays))), "")
	row("webhooks delivered", humanize.Comma(f.webhooks), "signed")
	delays("detection delay", f.clientDelays, "a client was told of the end")
	delays("", f.webhookDelays, "its webhook was delivered")
	return table.String()
}

// demoTable shows the figures: in a terminal as a table that is drawn in place, elsewhere
// as a line a second and whenever there is news, and the table at the end.
type demoTable struct {
	out      io.Writer
	terminal bool
	rows     int            // of the table above the cursor
	line     int            // the second of the last one
	fault    simulator.Mode // that it told of
}

// show goes over the table before it in one write, so that nothing flickers. Until the
// last, the cursor is hidden, and the terminal cuts off what is too wide for it.
func (t *demoTable) show(f demoFigures, last bool) {
	text := ""
	if t.terminal {
		text = "\x1b[?25l\x1b[?7l\r" + strings.Repeat("\x1b[A", t.rows) +
			strings.NewReplacer("\n", "\x1b[K\r\n", "DOWN", "\x1b[7mDOWN\x1b[m").Replace(f.table())
		t.rows = strings.Count(text, "\n")
		if last {
			text += "\x1b[?7h\x1b[?25h"
		}
	} else if last {
		text = "\n" + f.table()
	} else if line := int(f.elapsed.Seconds()); line > t.line || f.fault != t.fault {
		t.line, t.fault = line, f.fault
		text = fmt.Sprintf("%4d s  asked %s, sent %s, saved %s, errors %d; signings ended %d; webhooks %d; %s\n", line, humanize.Comma(f.asked),
			humanize.Comma(f.sent), f.saved(), f.errors, len(f.clientDelays), f.webhooks, demoNews[f.fault])
	}
	io.WriteString(t.out, text)
}
