package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// figures are of sessions that were polled.
type figures struct {
	sessions int
	polls    float64
	delays   []float64 // of those that ended
}

func (f *figures) add(end float64, s seen) {
	f.sessions++
	f.polls += float64(s.polls)
	if s.over > 0 {
		f.delays = append(f.delays, s.over-end)
	}
}

// join adds those of others.
func (f *figures) join(other figures) {
	f.sessions += other.sessions
	f.polls += other.polls
	f.delays = append(f.delays, other.delays...)
}

// perSession is how many polls a session costs.
func (f *figures) perSession() float64 { return f.polls / float64(f.sessions) }

// delay is that of a share of the sessions, or less.
func (f *figures) delay(share float64) float64 {
	slices.Sort(f.delays)
	return f.delays[min(len(f.delays)-1, int(share*float64(len(f.delays))))]
}

func (f *figures) mean() float64 {
	sum := 0.0
	for _, d := range f.delays {
		sum += d
	}
	return sum / float64(len(f.delays))
}

// atDelay is about how many polls a session would cost at another mean delay: polls and delay are
// in inverse proportion.
func (f *figures) atDelay(delay float64) float64 { return f.perSession() * f.mean() / delay }

// row is a line of a table; other is what it is compared with.
func (f *figures) row(name string, other figures) string {
	return fmt.Sprintf("| %s | %.1f | %.2f s | %.2f s | %.2f s | %.2f |\n", name, f.perSession(), f.mean(), f.delay(.95), f.delay(1), f.atDelay(other.mean())/other.perSession())
}

const heading = "| schedule | polls a session | mean delay | p95 | worst | polls at the delay of fixed, by those of fixed |\n|---|---|---|---|---|---|\n"

// measure polls sessions of a population by a schedule that learns nothing more. The same seed is
// the same sessions.
func measure(s schedule, p population, sessions int, seed uint64) (f figures) {
	draws, r := rand.New(rand.NewPCG(seed, 3)), rand.New(rand.NewPCG(seed, 4))
	for range sessions {
		end := p.draw(draws)
		f.add(end, watch(s, r, end))
	}
	return f
}

// once is the least that a session can cost.
func once(sessions int) figures {
	return figures{sessions, float64(sessions), make([]float64, sessions)}
}
