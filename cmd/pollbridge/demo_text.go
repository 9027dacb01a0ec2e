package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// What the demonstration says, in words that all displays share.

// demoNews says what is happening, and what that means for clients.
func demoNews(f demoFigures) string {
	switch f.Phase {
	case demoRefuses:
		return `the upstream is DOWN (answers 502): clients are told "waiting"`
	case demoHangs:
		return `the upstream is DOWN (does not answer): clients are told "waiting"`
	case demoReturns:
		return "the upstream is back: the bridge is about to notice"
	case demoUpAgain:
		return "the upstream is up again: signings go on where they were"
	}
	return "the upstream is up: it gets one poll a second for each signing"
}

// demoNext says what comes next, and when.
func demoNext(f demoFigures) string {
	switch {
	case f.Phase == demoUp:
		return "outage in " + demoWhole(f.PhaseEnds)
	case f.Phase.down():
		return "back in " + demoWhole(f.PhaseEnds)
	}
	return ""
}

func (b demoBreaker) String() string {
	return [...]string{"closed", "half-open", "open"}[b]
}

// explain says what the state means.
func (b demoBreaker) explain() string {
	return [...]string{
		"the upstream is asked",
		"a few polls try whether the upstream is back",
		"the upstream is left alone for a moment",
	}[b]
}

func demoPercent(f demoFigures) string {
	if f.Asked == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", f.Saved())
}

// demoDelay is in seconds; a delay of 0 is one that nobody has had yet.
func demoDelay(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// demoWebhookNote says how soon webhooks tell, and what is wrong with them.
func demoWebhookNote(f demoFigures) string {
	switch {
	case f.WebhooksUnsigned > 0:
		return demoMany(f.WebhooksUnsigned, "wrong signature")
	case f.WebhookMedian == 0:
		return "signed, to a receiver of this demonstration"
	}
	return demoDelay(f.WebhookMedian) + " after the end, " + demoDelay(f.WebhookWorst) + " at worst"
}

// demoWhole rounds up, so that what is 0 is over.
func demoWhole(d time.Duration) string {
	seconds := (d + time.Second - 1).Truncate(time.Second)
	if seconds < 2*time.Minute {
		return fmt.Sprintf("%d s", int(seconds.Seconds()))
	}
	if seconds%time.Minute == 0 {
		return strings.TrimSuffix(seconds.String(), "0s")
	}
	return seconds.String()
}

func demoCount[N int | int64](n N) string { return humanize.Comma(int64(n)) }

func demoMany[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return demoCount(n) + " " + noun + "s"
}
