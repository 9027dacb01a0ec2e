package main

import (
	"encoding/xml"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

const (
	sessions = 5_000
	learners = 10
)

// ratio is how many polls a session costs at the delay of others, by theirs.
func ratio(f, other figures) float64 { return f.atDelay(other.mean()) / other.perSession() }

// TestSignings: what the schedule promises for the signings that it was made for.
func TestSignings(t *testing.T) {
	t.Parallel()
	fixed, best := measured(fixedSchedule, signing, sessions, learners), measured(clairvoyant(signing), signing, sessions, learners)
	f := after(signing, 500, sessions, learners)
	if got := ratio(f, fixed); got > .60 {
		t.Errorf("after 500 sessions polls are %.2f of those of fixed, want 0.60", got)
	}
	if got := ratio(f, best); got > 1.10 {
		t.Errorf("after 500 sessions polls are %.2f of the fewest, want 1.10", got)
	}
	if got := f.perSession() / fixed.perSession(); got > .60 {
		t.Errorf("after 500 sessions there are %.2f of the polls of fixed, want 0.60", got)
	}
	// The mean of so many has a standard error of a hundredth.
	if got := f.mean() / fixed.mean(); got < .93 || got > 1.03 {
		t.Errorf("after 500 sessions the mean delay is %.2f of that of fixed", got)
	}
}

// TestNeverWorse: whatever there is to be learnt, it costs hardly more than learning nothing.
func TestNeverWorse(t *testing.T) {
	t.Parallel()
	for _, p := range steady {
		fixed := measured(fixedSchedule, p, sessions, learners)
		for _, n := range []int{40, 100, 500} {
			if got := ratio(after(p, n, sessions, learners), fixed); got > 1.05 {
				t.Errorf("%s after %d sessions: polls are %.2f of those of fixed", p.name, n, got)
			}
		}
	}
	for _, c := range changing {
		var fixed, learnt figures
		for seed := range uint64(1) {
			f, l := whileChanging(c.draw, seed, 2000)
			fixed.join(f)
			learnt.join(l)
		}
		if got := ratio(learnt, fixed); got > 1.05 {
			t.Errorf("%s: polls are %.2f of those of fixed", c.name, got)
		}
	}
}

// TestNewsGoFirst: where the upstream takes few polls, ends are seen sooner than if all gaps were
// stretched alike, and no gap is longer than is allowed.
func TestNewsGoFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    population
		rate float64
	}{{signing, 11.5}, {steady[2], 25}} { // of 92, of 61 that are due
		l := newLearner()
		l.watch(c.p, rand.New(rand.NewPCG(1, 1)), 500)
		now, before := crowding(l.curve, c.p, newsFirst, c.rate), crowding(l.curve, c.p, stretched, c.rate)
		if now.mean() > .9*before.mean() || now.longest > now.allowed {
			t.Errorf("%s: mean delay %.2f s, and %.2f s with gaps stretched alike; the longest gap was %v, want %v at most", c.p.name, now.mean(), before.mean(), now.longest, now.allowed)
		}
	}
}

func TestDriftIsFollowed(t *testing.T) {
	t.Parallel()
	best := measured(clairvoyant(slower), slower, sessions, learners)
	if got := ratio(afterDrift(500, sessions, learners), best); got > 1.15 {
		t.Errorf("500 sessions after a drift polls are %.2f of the fewest, want 1.15", got)
	}
}

func TestPrinted(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(&out, "", 100, 1); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## signings\n", "## where the upstream takes fewer polls\n", "| bimodal | 8.0 |", "| steps, as before |", "| adaptive 500 sessions later |", "## half adversarial\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the figures have no %q", want)
		}
	}
	picture := xml.NewDecoder(strings.NewReader(picture()))
	for {
		_, err := picture.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the picture: %v", err)
		}
	}
}
