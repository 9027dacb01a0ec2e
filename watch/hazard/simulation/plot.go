package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// The picture, in its own units.
const (
	wide, high  = 720.0, 300.0
	left, top   = 50.0, 20.0
	right, foot = 710.0, 255.0
	oldest      = 130.0 // seconds
	mostDense   = 4.0   // polls a second
)

func x(age float64) float64   { return left + (right-left)*age/oldest }
func y(polls float64) float64 { return foot - (foot-top)*polls/mostDense }

// picture is a curve that was learnt from 500 signings, the one of those who know all, and when
// signings end. It is readable on white and on black.
func picture() string {
	l := newLearner()
	l.watch(signing, rand.New(rand.NewPCG(0, 1)), 500)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">
<style>
text { fill: #24292f } path { fill: none; stroke-width: 1.6 } .axis { stroke: #8c959f; stroke-width: 1 }
.ends { fill: #8c959f; fill-opacity: .35; stroke: none } .fixed { stroke: #8c959f; stroke-dasharray: 5 4 } .best { stroke: #bf8700 } .learnt { stroke: #0969da }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .learnt { stroke: #58a6ff } .best { stroke: #d29922 } }
</style>
<title>Polls a second by the age of a signing</title>
`, wide, high)
	b.WriteString(`<path class="ends" d="` + ends() + `"/>` + "\n")
	b.WriteString(`<path class="fixed" d="` + line(fixedSchedule) + `"/>` + "\n")
	b.WriteString(`<path class="best" d="` + line(clairvoyant(signing)) + `"/>` + "\n")
	b.WriteString(`<path class="learnt" d="` + line(of(l.curve)) + `"/>` + "\n")
	fmt.Fprintf(&b, `<path class="axis" d="M%g %gV%gH%g"/>`+"\n", left, top, foot, right)
	for polls := 0.0; polls <= mostDense; polls++ {
		fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="end">%g</text>`+"\n", left-8, y(polls)+4, polls)
	}
	for age := 0.0; age <= oldest; age += 20 {
		fmt.Fprintf(&b, `<text x="%.0f" y="%g" text-anchor="middle">%g s</text>`+"\n", x(age), foot+18, age)
	}
	for i, key := range []struct{ class, text string }{
		{"learnt", "polls a second, learnt from 500 signings"}, {"best", "the same for who knows all"}, {"fixed", "fixed at 1 s"}, {"ends", "when signings end"},
	} {
		at := top + 14 + 18*float64(i)
		shape := fmt.Sprintf("M%g %gh24", 300.0, at-4)
		if key.class == "ends" {
			shape = fmt.Sprintf("M%g %gh24v8h-24z", 300.0, at-8)
		}
		fmt.Fprintf(&b, `<path class="%s" d="%s"/><text x="332" y="%g">%s</text>`+"\n", key.class, shape, at, key.text)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">age of the signing</text>`+"\n</svg>\n", (left+right)/2, high-8)
	return b.String()
}

const step = .5 // seconds between two points of a line

// line is one poll in each gap.
func line(s schedule) string {
	var b strings.Builder
	for age := 0.0; age <= oldest; age += step {
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(1, int(age/step))], x(age), y(min(mostDense, density(s, age))))
	}
	return b.String()
}

// density is polls a second, as the gap says that begins at an age.
func density(s schedule, age float64) float64 { return 1 / s(age, 1) }

// ends is when signings end, the most frequent time at half of the height.
func ends() string {
	const draws = 200_000
	var counts [int(oldest / step)]float64
	r, most := rand.New(rand.NewPCG(1, 1)), 0.0
	for range draws {
		if i := int(signing.draw(r) / step); i < len(counts) {
			counts[i]++
			most = max(most, counts[i])
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %.1f", x(0), y(0))
	for i, n := range counts {
		fmt.Fprintf(&b, "L%.1f %.1f", x(step*(float64(i)+.5)), y(mostDense/2*math.Sqrt(n/most)))
	}
	fmt.Fprintf(&b, "L%.1f %.1fz", x(oldest), y(0))
	return b.String()
}
