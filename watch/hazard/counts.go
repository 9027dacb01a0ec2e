package hazard

import (
	"math"
	"time"
)

// Counts is what was learnt from sessions: how many ended at each age, and for how long sessions
// were pending at that age. The more sessions come after one, the less that one counts. Counts of
// several processes add up. The zero value is empty. It is not safe for concurrent use.
type Counts struct {
	sessions float64 // that were learnt from, ever
	position float64 // how many were, here and elsewhere, when weights were as they stand
	ended    [bins]float64
	pending  [bins]float64 // in seconds
}

// memory is after how many more sessions what was learnt from one counts for 1/e.
const memory = 300

// Sessions returns how many sessions were learnt from.
func (c *Counts) Sessions() float64 { return c.sessions }

// Advance is told how many sessions were learnt from, here and elsewhere: older ones count for
// less then.
func (c *Counts) Advance(position float64) {
	if position <= c.position {
		return
	}
	kept := math.Exp((c.position - position) / memory)
	c.position = position
	for i := range bins {
		c.ended[i] *= kept
		c.pending[i] *= kept
	}
}

// Merge adds what was learnt elsewhere. It makes no difference in which order that is done.
func (c *Counts) Merge(other *Counts) {
	c.Advance(other.position)
	weight := math.Exp((other.position - c.position) / memory)
	c.sessions += other.sessions
	for i := range bins {
		c.ended[i] += weight * other.ended[i]
		c.pending[i] += weight * other.pending[i]
	}
}

// Learn adds a session. It ended at some age between the last two that are known; how likely it
// was at each of them is taken from the curve by which it was polled.
func (c *Counts) Learn(l Life, curve *Curve) {
	l = l.sane()
	c.sessions++
	c.Advance(c.position + 1)
	pending, over := l.Pending.Seconds(), l.Over.Seconds()
	for bin := range binOf(l.Pending) + 1 {
		c.pending[bin] += overlap(bin, 0, pending)
	}
	if l.Over == 0 {
		return
	}
	first, last := binOf(l.Pending), binOf(l.Over)
	var all float64
	for bin := first; bin <= last; bin++ {
		all += curve.likelihood(bin) * overlap(bin, pending, over)
	}
	left := 1.0 // of the session, at the beginning of a bin
	for bin := first; bin <= last; bin++ {
		within := overlap(bin, pending, over)
		ends := max(0, left)
		if bin < last {
			ends = curve.likelihood(bin) * within / all
		}
		c.ended[bin] += ends
		c.pending[bin] += (left - ends/2) * within
		left -= ends
	}
}

// overlap is how many seconds of a bin are between two ages.
func overlap(bin int, from, to float64) float64 {
	return max(0, min(to, starts[bin+1])-max(from, starts[bin]))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
