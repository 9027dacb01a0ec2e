package main

import (
	"fmt"
	"strings"
	"time"
)

// demoSummary says in a few lines what was seen.
func demoSummary(f demoFigures) string {
	var lines strings.Builder
	say := func(label, format string, values ...any) {
		fmt.Fprintf(&lines, "%-8s%s\n", label, fmt.Sprintf(format, values...))
	}
	say("asked", "%s by %s about %s in %s", demoMany(f.Asked, "poll"),
		demoMany(f.Clients, "client"), demoMany(f.Ended+f.UnderWay, "signing"), demoSeconds(f.Elapsed))
	say("sent", "%s to the upstream: %s saved", demoMany(f.Sent, "poll"), demoPercent(f))
	say("errors", "%s seen by clients%s", demoCount(f.Errors), demoFirstError(f))
	sayOutage(say, f)
	sayDelay(say, f)
	sayWebhooks(say, f)
	say("go on", "pollbridge serve --upstream URL   (where your signing API answers)")
	return lines.String()
}

func sayOutage(say func(string, string, ...any), f demoFigures) {
	if f.Phase == demoUp {
		return
	}
	say("outage", "%s without upstream: %s of clients, %s among them", demoSeconds(f.OutageLasted),
		demoMany(f.AskedInOutage, "poll"), demoMany(f.ErrorsInOutage, "error"))
	var facts []string
	if f.Struck > 0 {
		facts = append(facts, demoMany(f.Struck, "call")+" of the bridge, all failed")
	}
	if f.NoticedAfter > 0 {
		facts = append(facts, "new answers "+demoSeconds(f.NoticedAfter)+" after its end")
	}
	if len(facts) > 0 {
		say("", "%s", strings.Join(facts, "; "))
	}
}

func sayDelay(say func(string, string, ...any), f demoFigures) {
	label := "delay"
	if f.WorstDelay > 0 {
		say(label, "%s (median), %s (worst) from a signing's end to the first client",
			demoDelay(f.MedianDelay), demoDelay(f.WorstDelay))
		label = ""
	}
	if f.EndedInOutage > 0 {
		say(label, "%s held up by the outage: told within %s of its end",
			demoMany(f.EndedInOutage, "signing"), demoDelay(f.WorstHeldDelay))
	}
}

func sayWebhooks(say func(string, string, ...any), f demoFigures) {
	if f.Webhooks == 0 {
		return
	}
	say("pushed", "%s, signed; %s (median), %s (worst) after the end", demoMany(f.Webhooks, "webhook"),
		demoDelay(f.WebhookMedian), demoDelay(f.WebhookWorst))
}

func demoFirstError(f demoFigures) string {
	if f.Errors == 0 {
		return ""
	}
	return "; the first: " + f.FirstError
}

func demoSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
