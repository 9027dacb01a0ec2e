package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// demoStyle is how a piece of text stands out.
type demoStyle string

const (
	demoPlain  demoStyle = ""
	demoStrong demoStyle = "1"
	demoFaint  demoStyle = "2"
	demoGood   demoStyle = "1;32"
	demoWarn   demoStyle = "1;33"
	demoBad    demoStyle = "1;31"
)

// demoPiece is text in one style. Every character of it takes one column.
type demoPiece struct {
	text  string
	style demoStyle
}

type demoLine []demoPiece

// demoWidth is what the table is made for; a narrower terminal cuts it off.
const demoWidth = 79

// demoFrame is the whole table.
func demoFrame(f demoFigures) []demoLine {
	return []demoLine{
		demoTitle(f),
		nil,
		demoNewsLine(f),
		nil,
		demoRow("polls asked by clients", demoCount(f.Asked), demoCurve(f, func(s demoSample) int64 { return s.Asked })...),
		demoRow("polls sent upstream", demoCount(f.Sent), demoCurve(f, func(s demoSample) int64 { return s.Sent })...),
		demoRowIn(demoGood, "saved", demoPercent(f)),
		nil,
		demoRow("answers: hit", demoCount(f.Answers[demoHit]), demoNote("from memory")),
		demoRow("         collapsed", demoCount(f.Answers[demoCollapsed]), demoNote("together with another client's poll")),
		demoRow("         miss", demoCount(f.Answers[demoMiss]), demoNote("the upstream was asked")),
		demoRow("         stale", demoCount(f.Answers[demoStale]), demoNote("the upstream gave no answer, so its last one")),
		demoRowIn(demoErrorStyle(f), "errors seen by clients", demoCount(f.Errors), demoNote(f.FirstError)),
		nil,
		demoRow("signings under way", demoCount(f.UnderWay), demoNote(demoCount(f.Ended)+" ended so far")),
		demoRowIn(demoBreakerStyle(f.Breaker), "circuit breaker", f.Breaker.String(), demoNote(f.Breaker.explain())),
		demoRow("told after the end", demoDelay(f.MedianDelay), demoNote("median, from a signing's end to a client")),
		demoRow("", demoDelay(f.WorstDelay), demoNote("at worst")),
		demoRow("     after the outage", demoDelay(f.WorstHeldDelay), demoHeld(f)),
		demoRowIn(demoWebhookStyle(f), "webhooks delivered", demoCount(f.Webhooks), demoNote(demoWebhookNote(f))),
	}
}

func demoTitle(f demoFigures) demoLine {
	title := fmt.Sprintf("pollbridge demo: %s, %s at a time", demoMany(f.Clients, "client"), demoMany(f.Sessions, "signing"))
	left := demoWhole(f.Length-f.Elapsed) + " left"
	return demoLine{{title, demoStrong}, demoSpread(title, left), {left, demoPlain}}
}

func demoNewsLine(f demoFigures) demoLine {
	style := demoStrong
	switch {
	case f.Phase.down():
		style = demoBad
	case f.Phase == demoReturns:
		style = demoWarn
	case f.Phase == demoUpAgain:
		style = demoGood
	}
	news, next := demoNews(f), demoNext(f)
	return demoLine{{news, style}, demoSpread(news, next), {next, demoFaint}}
}

// demoSpread is the space that puts right at the right margin.
func demoSpread(left, right string) demoPiece {
	free := demoWidth - utf8.RuneCountInString(left) - utf8.RuneCountInString(right)
	return demoPiece{strings.Repeat(" ", max(1, free)), demoPlain}
}

func demoRow(label, value string, notes ...demoPiece) demoLine {
	return demoRowIn(demoStrong, label, value, notes...)
}

func demoRowIn(style demoStyle, label, value string, notes ...demoPiece) demoLine {
	line := demoLine{{fmt.Sprintf("%-24s", label), demoPlain}, {fmt.Sprintf("%9s", value), style}}
	if len(notes) == 0 {
		return line
	}
	return append(append(line, demoPiece{"  ", demoPlain}), notes...)
}

func demoNote(text string) demoPiece { return demoPiece{text, demoFaint} }

func demoErrorStyle(f demoFigures) demoStyle {
	if f.Errors > 0 {
		return demoBad
	}
	return demoGood
}

func demoWebhookStyle(f demoFigures) demoStyle {
	if f.WebhooksUnsigned > 0 {
		return demoBad
	}
	return demoGood
}

func demoBreakerStyle(b demoBreaker) demoStyle {
	if b == demoBreakerClosed {
		return demoStrong
	}
	return demoWarn
}

// demoHeld tells of those whose delay the outage caused.
func demoHeld(f demoFigures) demoPiece {
	if f.EndedInOutage == 0 {
		return demoNote("")
	}
	return demoNote("at worst; held up: " + demoMany(f.EndedInOutage, "signing"))
}

// demoBars are the heights of a curve; nothing but 0 looks like 0.
var demoBars = []rune(" ▁▂▃▄▅▆▇█")

// demoCurve draws one of the counts over time, those of the outage in another
// colour, and writes how many it was a second lately. All curves have one scale.
func demoCurve(f demoFigures, of func(demoSample) int64) []demoPiece {
	if len(f.History) == 0 {
		return nil
	}
	top := int64(1)
	for _, s := range f.History {
		top = max(top, s.Asked, s.Sent)
	}
	var curve []demoPiece
	for _, s := range f.History {
		style := demoPlain
		if s.Down {
			style = demoBad
		}
		bar := demoBars[(of(s)*int64(len(demoBars)-1)+top-1)/top]
		curve = append(curve, demoPiece{string(bar), style})
	}
	last := float64(of(f.History[len(f.History)-1])) * float64(time.Second) / float64(f.Sample)
	return append(curve, demoNote(fmt.Sprintf("  %.0f/s", last)))
}
