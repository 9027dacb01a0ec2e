package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"pollbridge/watch/hazard"
)

// bounds are those of the default configuration.
var bounds = hazard.Bounds{Interval: time.Second, Most: 5 * time.Second}

// schedule is how long after a poll of a session of some age the next one is made, at a pace. All
// times are in seconds.
type schedule func(age, pace float64) float64

func of(c *hazard.Curve) schedule {
	return func(age, pace float64) float64 { return c.Gap(duration(age), pace).Seconds() }
}

// steps is what the schedule was before it learnt.
func steps(age, pace float64) float64 {
	switch {
	case age < 5, 60 <= age && age < 180:
		return 2 / pace
	case age < 60:
		return 1 / pace
	}
	return 5 / pace
}

// clairvoyant is the best schedule for a population, for those who know it.
func clairvoyant(p population) schedule {
	const (
		grain = .01
		size  = int(deadline / grain)
		draws = 500_000
		blur  = 10 // to each side: less than the shortest gap
	)
	r := rand.New(rand.NewPCG(7, 7))
	ended := make([]float64, size+1)
	for range draws {
		ended[min(size, int(max(0, p.draw(r))/grain))]++
	}
	var before [size + 1]float64
	for i := range size {
		before[i+1] = before[i] + ended[i]
	}
	hazard := make([]float64, size)
	for i := range hazard {
		from, to := max(0, i-blur), min(size, i+blur+1)
		hazard[i] = (before[to] - before[from]) / (float64(to-from) * grain) / max(1, draws-before[i])
	}
	polls := make([]float64, size+1)
	moments := make([]float64, size+1) // ∫ s dN(s), see hazard.Curve
	for factor, times := 1.0, 0; times < 60; times++ {
		for i, h := range hazard {
			density := min(max(factor*math.Sqrt(h), 1/bounds.Most.Seconds()), 1/bounds.Least().Seconds())
			polls[i+1] = polls[i] + grain*density
			moments[i+1] = moments[i] + grain*density*grain*(float64(i)+.5)
		}
		delay, all, to := 0.0, 0.0, 0
		for i := range hazard {
			for to < size && polls[to] < polls[i]+1 {
				to++
			}
			delay += ended[i] * (moments[to] - moments[i] - grain*float64(i)*(polls[to]-polls[i]))
			all += ended[i]
		}
		factor *= delay / all / (bounds.Interval.Seconds() / 2)
	}
	return func(age, pace float64) float64 {
		i := min(size-1, int(age/grain))
		next, _ := slices.BinarySearch(polls, polls[i]+1/pace)
		return min(max(float64(next)*grain-age, bounds.Least().Seconds()), bounds.Most.Seconds())
	}
}

// seen is what a schedule sees of one session.
type seen struct {
	polls         int
	pending, over float64 // over is 0: it was given up
}

// watch polls a session that ends at some time.
func watch(s schedule, r *rand.Rand, end float64) (found seen) {
	for age := 0.0; age < deadline; {
		next := age + s(age, 1/(.9+.2*r.Float64()))
		found.polls++
		if found.pending = age; next >= end {
			found.over = next
			break
		}
		age = next
	}
	return found
}

func (s seen) life() hazard.Life {
	return hazard.Life{Pending: duration(s.pending), Over: duration(s.over)}
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// learner is the schedule that learns.
type learner struct {
	counts hazard.Counts
	curve  *hazard.Curve
}

// refit is how many sessions end, in the program, in the second after which a curve is made anew.
const refit = 10

func newLearner() *learner { return &learner{curve: hazard.Fixed(bounds)} }

func (l *learner) learn(s seen) {
	l.counts.Learn(s.life(), l.curve)
	if int(l.counts.Sessions())%refit == 0 {
		l.curve = l.counts.Fit(bounds)
	}
}

// learn has it watch sessions of a population.
func (l *learner) watch(p population, r *rand.Rand, sessions int) {
	for range sessions {
		l.learn(watch(of(l.curve), r, p.draw(r)))
	}
}
