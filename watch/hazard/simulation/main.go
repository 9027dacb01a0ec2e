// Simulation shows what the schedule that learns costs, and how late it is: its own code, under a
// clock that is only a number.
//
//	go run ./watch/hazard/simulation > figures.md
//	go run ./watch/hazard/simulation -plot docs/schedule.svg
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

func main() {
	plot := flag.String("plot", "", "write a picture of a learnt curve to this `file`, and no tables")
	sessions := flag.Int("sessions", 20_000, "`sessions` that each schedule polls")
	learners := flag.Int("learners", 10, "`processes` that learn, each from sessions of its own, of which the mean is shown")
	flag.Parse()
	if err := run(os.Stdout, *plot, *sessions, *learners); err != nil {
		fmt.Fprintln(os.Stderr, "simulation:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, plot string, sessions, learners int) error {
	if plot != "" {
		return os.WriteFile(plot, []byte(picture()), 0o644)
	}
	for _, p := range steady {
		fmt.Fprintf(out, "\n## %s\n\n%s.\n\n%s", p.name, p.text, heading)
		tableOf(out, p, sessions, learners)
	}
	fmt.Fprintf(out, "\n## after a drift\n\n%s. Then, after 5000 sessions: %s.\n\n%s", signing.text, slower.text, heading)
	tableOfDrift(out, sessions, learners)
	for _, c := range changing {
		fmt.Fprintf(out, "\n## %s\n\n%s; 10,000 sessions, the learning ones among them.\n\n%s", c.name, c.text, heading)
		var fixed, learnt figures
		for seed := range learners {
			f, l := whileChanging(c.draw, uint64(seed), 10_000)
			fixed.join(f)
			learnt.join(l)
		}
		fmt.Fprint(out, fixed.row("fixed", fixed), learnt.row("adaptive", fixed))
	}
	fmt.Fprintf(out, "\n## where the upstream takes fewer polls\n\n%d sessions begin in a second.\n\n%s", beginning, headingOfCrowd)
	tableOfCrowd(out, sessions)
	return nil
}

func tableOfCrowd(out io.Writer, sessions int) {
	for _, p := range []population{signing, steady[2], steady[5]} {
		l := newLearner()
		l.watch(p, rand.New(rand.NewPCG(1, 1)), 500)
		polls := measure(of(l.curve), p, sessions/10, 1)
		for _, shortage := range []float64{1.2, 1.5, 2.5, 4, 8} {
			fmt.Fprint(out, rowOfCrowd(l.curve, p, polls.perSession(), shortage))
		}
	}
}

func tableOf(out io.Writer, p population, sessions, learners int) {
	fixed := measured(fixedSchedule, p, sessions, learners)
	show := func(name string, f figures) { fmt.Fprint(out, f.row(name, fixed)) }
	show("fixed", fixed)
	show("steps, as before", measured(steps, p, sessions, learners))
	for _, n := range []int{0, 50, 500, 5000} {
		show(fmt.Sprintf("adaptive after %d", n), after(p, n, sessions, learners))
	}
	show("clairvoyant", measured(clairvoyant(p), p, sessions, learners))
	show("one poll", once(sessions))
}

func tableOfDrift(out io.Writer, sessions, learners int) {
	fixed := measured(fixedSchedule, slower, sessions, learners)
	show := func(name string, f figures) { fmt.Fprint(out, f.row(name, fixed)) }
	show("fixed", fixed)
	for _, n := range []int{0, 100, 200, 500, 2000} {
		show(fmt.Sprintf("adaptive %d sessions later", n), afterDrift(n, sessions, learners))
	}
	show("clairvoyant", measured(clairvoyant(slower), slower, sessions, learners))
}

var fixedSchedule = of(newLearner().curve)

// measured is of the sessions that learners are measured with.
func measured(s schedule, p population, sessions, learners int) (f figures) {
	for seed := range learners {
		f.join(measure(s, p, sessions/learners, uint64(seed)))
	}
	return f
}

// after is what is to be had when some sessions of a population were learnt from.
func after(p population, n, sessions, learners int) (f figures) {
	for seed := range learners {
		l := newLearner()
		l.watch(p, rand.New(rand.NewPCG(uint64(seed), 1)), n)
		f.join(measure(of(l.curve), p, sessions/learners, uint64(seed)))
	}
	return f
}

// afterDrift is the same for what signings have become, some sessions after that.
func afterDrift(n, sessions, learners int) (f figures) {
	for seed := range learners {
		l, r := newLearner(), rand.New(rand.NewPCG(uint64(seed), 1))
		l.watch(signing, r, 5000)
		l.watch(slower, r, n)
		f.join(measure(of(l.curve), slower, sessions/learners, uint64(seed)))
	}
	return f
}

// whileChanging polls sessions of which no two need be alike.
func whileChanging(draw func(*rand.Rand, int, schedule) float64, seed uint64, sessions int) (fixed, learnt figures) {
	r, l := rand.New(rand.NewPCG(seed, 1)), newLearner()
	for i := range sessions {
		end := draw(r, i, of(l.curve))
		found := watch(of(l.curve), r, end)
		learnt.add(end, found)
		l.learn(found)
		fixed.add(end, watch(fixedSchedule, r, end))
	}
	return fixed, learnt
}
