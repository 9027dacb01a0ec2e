package hazard

import (
	"math"
	"time"
)

// Bounds is what a curve has to keep.
type Bounds struct {
	// Interval is that of the fixed schedule whose mean delay is kept.
	Interval time.Duration
	// Most is the longest gap, at least Interval.
	Most time.Duration
}

// Least is the shortest gap.
func (b Bounds) Least() time.Duration { return b.Interval / 4 }

// Curve says when sessions are polled. It is immutable.
type Curve struct {
	bounds Bounds
	polls  [bins + 1]float64 // that are made of a session until it is as old as the start of a bin
	hazard [bins]float64     // as it was learnt, or is supposed to be
	used   int               // bins up to the last one of which something was learnt
}

// lives is how many intervals a session is supposed to last, on average, while nothing was learnt.
const lives = 32

// Fixed returns the curve of the fixed schedule.
func Fixed(b Bounds) *Curve {
	c := &Curve{bounds: b}
	for i := range c.hazard {
		c.hazard[i] = 1 / (lives * b.Interval.Seconds())
	}
	c.set(1 / (b.Interval.Seconds() * math.Sqrt(c.hazard[0])))
	return c
}

// Gap is how long after a poll at some age the next one is made. A pace of 1 is the curve's own,
// with a pace of 2 there are twice as many polls. Whatever the pace, the bounds hold.
func (c *Curve) Gap(age time.Duration, pace float64) time.Duration {
	from := max(0, age).Seconds()
	to := c.after(binOf(age), from, 1/pace)
	return min(max(seconds(to-from), c.bounds.Least()), c.bounds.Most)
}

// after is the age at which so many polls have been made since another one, which is in a bin.
func (c *Curve) after(bin int, age, polls float64) float64 {
	next := c.until(bin, age) + polls
	for bin < bins-1 && c.polls[bin+1] < next {
		bin++
	}
	return starts[bin] + (next-c.polls[bin])/c.density(bin)
}

// until is how many polls are made of a session until some age, which is in a bin.
func (c *Curve) until(bin int, age float64) float64 {
	return c.polls[bin] + (age-starts[bin])*c.density(bin)
}

// density is polls a second.
func (c *Curve) density(bin int) float64 { return (c.polls[bin+1] - c.polls[bin]) / width(bin) }

// likelihood is, but for a factor, how likely a session ends in a bin: where bounds cut the
// density off, it is less uneven than it might be.
func (c *Curve) likelihood(bin int) float64 { d := c.density(bin); return d * d }

// Fit returns the curve that costs the fewest polls, as far as was learnt. Until enough was
// learnt it is the fixed one.
func (c *Counts) Fit(b Bounds) *Curve {
	e := c.estimate()
	if e.used == 0 {
		return Fixed(b)
	}
	curve := &Curve{bounds: b, hazard: e.hazard, used: e.used}
	curve.keepDelay(&e.ends)
	return curve
}

// keepDelay makes as few polls as have ends go unnoticed for half an interval on average, given how many
// there are at each age.
func (c *Curve) keepDelay(ends *[bins]float64) {
	lowest, highest := c.hazard[0], c.hazard[0]
	for _, h := range c.hazard {
		lowest, highest = min(lowest, h), max(highest, h)
	}
	few, many := 1/(c.bounds.Most.Seconds()*math.Sqrt(highest)), 1/(c.bounds.Least().Seconds()*math.Sqrt(lowest))
	const close = 1 + 1e-4
	for many > close*few {
		factor := math.Sqrt(few * many)
		if c.set(factor); c.delay(ends) > c.bounds.Interval.Seconds()/2 {
			few = factor
		} else {
			many = factor
		}
	}
	c.set(many)
}

// set has the density be the square root of the hazard, times a factor, within the bounds.
func (c *Curve) set(factor float64) {
	fewest, most := 1/c.bounds.Most.Seconds(), 1/c.bounds.Least().Seconds()
	for i, h := range c.hazard {
		c.polls[i+1] = c.polls[i] + width(i)*min(max(factor*math.Sqrt(h), fewest), most)
	}
}

// delay is for how long an end goes unnoticed on average, in seconds, whatever part of a gap has
// passed at its age. Where N polls are made until the age t, the next one is made when they are u
// more, with all u from 0 to 1 alike: after ∫ (s - t) dN(s), over the s with less than one more.
func (c *Curve) delay(ends *[bins]float64) float64 {
	var moments [bins + 1]float64 // ∫ s dN(s) until the start of a bin
	for i := range bins {
		moments[i+1] = moments[i] + c.density(i)*(starts[i+1]*starts[i+1]-starts[i]*starts[i])/2
	}
	moment := func(bin int, age float64) float64 {
		return moments[bin] + c.density(bin)*(age*age-starts[bin]*starts[bin])/2
	}
	var delays, all float64
	to := 0
	for i, n := range ends {
		if n == 0 {
			continue
		}
		age := (starts[i] + starts[i+1]) / 2
		next := c.until(i, age) + 1
		for to = max(to, i); to < bins-1 && c.polls[to+1] < next; to++ {
		}
		last := starts[to] + (next-c.polls[to])/c.density(to)
		delays += n * (moment(to, last) - moment(i, age) - age)
		all += n
	}
	return delays / all
}

// Point is what a curve says of one age.
type Point struct {
	Age time.Duration
	// Hazard is how many of the sessions that are pending then end in a second.
	Hazard float64
	// Gap is how long after a poll at that age the next one is made.
	Gap time.Duration
}

// Points returns what was learnt, by age, up to the oldest that was seen: some 70 points for ages
// of two minutes. There are none where nothing was.
func (c *Curve) Points() []Point {
	const each = 4 // of so many bins
	var points []Point
	for bin := 0; bin < c.used; bin += each {
		age := seconds(starts[bin])
		points = append(points, Point{age, c.hazard[bin], c.Gap(age, 1)})
	}
	return points
}

// Worth is how much a poll brings, at some age, of a session that was last seen pending at another: how
// likely it is over by then, times for how long nobody has looked, up to the longest gap. So where
// the upstream takes too few polls, ends are noticed sooner than by either alone.
func (c *Curve) Worth(pending, age time.Duration) float64 {
	expected, last := 0.0, binOf(age)
	for bin := binOf(pending); bin <= last; bin++ {
		expected += c.hazard[bin] * overlap(bin, pending.Seconds(), age.Seconds())
	}
	return -math.Expm1(-expected) * min(age-pending, c.bounds.Most).Seconds()
}
