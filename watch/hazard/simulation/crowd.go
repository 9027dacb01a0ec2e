package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"pollbridge/watch/due"
	"pollbridge/watch/hazard"
)

// crowd is many sessions at a time, and an upstream that takes fewer polls than are due.
type crowd struct {
	r      *rand.Rand
	curve  *hazard.Curve
	queue  *due.Queue[*live]
	limits due.Limits
	live   int

	figures
	longest time.Duration // between two polls of a session
	allowed time.Duration // for that, at most
}

// live is a session.
type live struct {
	turn       due.Turn[*live]
	began, end time.Time
	last       time.Time // it was polled
}

// beginning is how many sessions begin in a second, and for how long.
const (
	beginning = 5
	crowded   = 500 * time.Second
)

// order is what a poll of a session is worth.
type order func(c *crowd, l *live, now time.Time) float64

// newsFirst is that of the program, see hazard.Curve.
func newsFirst(c *crowd, l *live, now time.Time) float64 {
	return c.curve.Worth(l.last.Sub(l.began), now.Sub(l.began))
}

// stretched has all gaps get longer by the same factor; whoever has waited for half of what is allowed
// goes first.
func stretched(c *crowd, l *live, now time.Time) float64 {
	since := now.Sub(l.last)
	if since > c.limits.Longest/2 {
		return 1e6 + since.Seconds()
	}
	return since.Seconds() / l.turn.At.Sub(l.last).Seconds()
}

// crowding is what comes of it where the upstream takes so many polls a second.
func crowding(curve *hazard.Curve, p population, o order, rate float64) *crowd {
	c := &crowd{r: rand.New(rand.NewPCG(5, 5)), curve: curve, limits: due.Limits{Rate: rate}}
	c.queue = due.New(func(l *live, now time.Time) float64 { return o(c, l, now) })
	began := time.Unix(0, 0)
	next := began
	for now := began; now.Sub(began) < crowded; {
		for ; !next.After(now); next = next.Add(duration(c.r.ExpFloat64() / beginning)) {
			l := &live{began: next, last: next, end: next.Add(duration(p.draw(c.r)))}
			l.turn.Of = l
			c.put(l)
			c.live++
		}
		c.limits.Longest = max(4*bounds.Most, duration(2*float64(c.live)/rate))
		c.allowed = max(c.allowed, c.limits.Longest)
		turn, wait := c.queue.Next(now, c.limits)
		if turn == nil {
			now = now.Add(min(wait, max(time.Microsecond, next.Sub(now))))
			continue
		}
		c.queue.Polled()
		c.poll(turn.Of, now)
		now = now.Add(duration(1 / rate))
	}
	return c
}

func (c *crowd) put(l *live) {
	gap := c.curve.Gap(l.last.Sub(l.began), 1/(.9+.2*c.r.Float64()))
	c.queue.Put(&l.turn, l.last.Add(gap), l.last)
}

func (c *crowd) poll(l *live, now time.Time) {
	c.longest = max(c.longest, now.Sub(l.last))
	if l.last = now; !now.Before(l.end) {
		c.live--
		c.add(l.end.Sub(l.began).Seconds(), seen{1, 0, now.Sub(l.began).Seconds()})
		return
	}
	c.put(l)
}

// rowOfCrowd is a line of a table.
func rowOfCrowd(curve *hazard.Curve, p population, perSession, shortage float64) string {
	rate := beginning * perSession / shortage
	before, now := crowding(curve, p, stretched, rate), crowding(curve, p, newsFirst, rate)
	return fmt.Sprintf("| %s | %.1f | %.2f s, %.1f s, %.0f s | %.2f s, %.1f s, %.0f s | %.0f s |\n", p.name, shortage,
		before.mean(), before.delay(.95), before.longest.Seconds(), now.mean(), now.delay(.95), now.longest.Seconds(), now.allowed.Seconds())
}

const headingOfCrowd = "| sessions | polls that are due, by what the upstream takes | all gaps stretched alike: mean delay, p95, longest gap | most likely news first | longest gap allowed |\n|---|---|---|---|---|\n"
