package main

import (
	"math"
	"math/rand/v2"
)

// population is how long sessions take until they end, in seconds.
type population struct {
	name, text string
	draw       func(*rand.Rand) float64
}

// signings is what a signing is like: most people sign, some refuse, and some do nothing until
// the session expires.
func signings(median, expiry float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 {
		switch part := r.Float64(); {
		case part < .80:
			return logNormal(r, median)
		case part < .85:
			return logNormal(r, median*8/14)
		}
		return expiry + r.NormFloat64()
	}
}

func logNormal(r *rand.Rand, median float64) float64 { return median * math.Exp(.5*r.NormFloat64()) }

// signing is that of the figures; slower is what it may become.
var (
	signing = population{"signings", "80 % log-normal (median 14 s, sigma 0.5), 5 % refusals (8 s), 15 % expire at 120 ± 1 s", signings(14, 120)}
	slower  = population{"slower", "the same with all times twice as long, but an expiry at 180 s", signings(28, 180)}
)

// steady are those that stay as they are.
var steady = []population{
	signing,
	{"log-normal", "median 14 s, sigma 0.5", func(r *rand.Rand) float64 { return logNormal(r, 14) }},
	{"bimodal", "half at 5 ± 1 s, half at 60 ± 3 s", func(r *rand.Rand) float64 {
		if r.Float64() < .5 {
			return max(.1, 5+r.NormFloat64())
		}
		return 60 + 3*r.NormFloat64()
	}},
	{"uniform", "0 to 60 s", func(r *rand.Rand) float64 { return 60 * r.Float64() }},
	{"memoryless", "exponential with a mean of 30 s: nothing can be learnt", func(r *rand.Rand) float64 { return 30 * r.ExpFloat64() }},
	{"heavy-tailed", "Pareto with exponent 1.2, given up after 600 s", func(r *rand.Rand) float64 { return 5 * (math.Pow(r.Float64(), -1/1.2) - 1) }},
}

// deadline is when a session is given up.
const deadline = 600.0

// changing are those of which no curve stays the best.
var changing = []struct {
	name, text string
	draw       func(r *rand.Rand, i int, s schedule) float64
}{
	{"drifting", "signings that get slower by a thousandth with each ten sessions", func(r *rand.Rand, i int, _ schedule) float64 {
		return signing.draw(r) * math.Pow(1.0001, float64(i))
	}},
	{"alternating", "signings, slower ones, in turn, 500 each", func(r *rand.Rand, i int, _ schedule) float64 {
		if i/500%2 == 0 {
			return signing.draw(r)
		}
		return slower.draw(r)
	}},
	{"wandering", "all at 10, 30, 50, 70 ± 1 s, 200 each in turn", func(r *rand.Rand, i int, _ schedule) float64 {
		return float64(10+20*(i/200%4)) + r.NormFloat64()
	}},
	{"adversarial", "all end where the schedule looks least, between 5 and 60 s", func(r *rand.Rand, _ int, s schedule) float64 { return unlooked(r, s) }},
	{"half adversarial", "signings, and as many that end where the schedule looks least", func(r *rand.Rand, i int, s schedule) float64 {
		if i%2 == 0 {
			return signing.draw(r)
		}
		return unlooked(r, s)
	}},
}

// unlooked is a time in the longest gap.
func unlooked(r *rand.Rand, s schedule) float64 {
	at, longest := 0.0, 0.0
	for age := 5.0; age < 60; age += .5 {
		if gap := s(age, 1); gap > longest {
			at, longest = age, gap
		}
	}
	return at + longest/2*r.Float64()
}
