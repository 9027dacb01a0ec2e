package hazard_test

import (
	"testing"
	"time"

	"pollbridge/watch/hazard"
)

var oddBounds = hazard.Bounds{Interval: time.Second, Most: 5 * time.Second}

// learnOdd learns sessions that are all alike.
func learnOdd(c *hazard.Counts, n int, l hazard.Life) {
	curve := hazard.Fixed(oddBounds)
	for range n {
		c.Learn(l, curve)
	}
}

// wantGaps wants gaps within bounds at all ages, and about as long as is said at some.
func wantGaps(t *testing.T, name string, c *hazard.Counts, at map[time.Duration]time.Duration) {
	t.Helper()
	curve := c.Fit(oddBounds)
	for age := -time.Hour; age < 48*time.Hour; age += 7 * time.Minute {
		if gap := curve.Gap(age, 1); gap < oddBounds.Least() || gap > oddBounds.Most {
			t.Errorf("%s: gap at %v is %v", name, age, gap)
		}
	}
	for age, want := range at {
		if gap := curve.Gap(age, 1); gap < want*3/5 || gap > want*5/3 {
			t.Errorf("%s: gap at %v is %v, want about %v", name, age, gap, want)
		}
	}
}

// TestOddSessions: whatever sessions and clocks do, gaps keep their bounds and make sense.
func TestOddSessions(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		learn func(*hazard.Counts)
		want  map[time.Duration]time.Duration
	}{
		{"an upstream that never ends one", func(c *hazard.Counts) { learnOdd(c, 2000, hazard.Life{Pending: 10 * time.Minute}) },
			map[time.Duration]time.Duration{0: time.Second, time.Hour: time.Second}},
		{"one that ends all at once", func(c *hazard.Counts) { learnOdd(c, 2000, hazard.Life{Over: 1}) },
			map[time.Duration]time.Duration{time.Hour: time.Second}},
		{"a single one that is endless, among others", func(c *hazard.Counts) {
			learnOdd(c, 500, hazard.Life{Pending: 29 * time.Second, Over: 30 * time.Second})
			learnOdd(c, 1, hazard.Life{Pending: 30 * day})
		}, map[time.Duration]time.Duration{10 * time.Second: 5 * time.Second, 29 * time.Second: 800 * time.Millisecond}},
		{"a deadline before all ends", func(c *hazard.Counts) { learnOdd(c, 2000, hazard.Life{Pending: 50 * time.Millisecond}) },
			map[time.Duration]time.Duration{0: time.Second, time.Minute: time.Second}},
		{"clocks that step back and far ahead", func(c *hazard.Counts) {
			learnOdd(c, 100, hazard.Life{Pending: -time.Hour, Over: -time.Minute})
			learnOdd(c, 100, hazard.Life{Pending: 3000 * day, Over: time.Second})
			learnOdd(c, 100, hazard.Life{Pending: time.Second, Over: 3000 * day})
		}, nil},
		{"very many of one kind, then of another", func(c *hazard.Counts) {
			learnOdd(c, 1_000_000, hazard.Life{Pending: 9 * time.Second, Over: 10 * time.Second})
			learnOdd(c, 3_000, hazard.Life{Pending: 59 * time.Second, Over: 60 * time.Second})
		}, map[time.Duration]time.Duration{5 * time.Second: 5 * time.Second, 30 * time.Second: 5 * time.Second, 59 * time.Second: 800 * time.Millisecond}},
	} {
		var counts hazard.Counts
		c.learn(&counts)
		wantGaps(t, c.name, &counts, c.want)
	}
}
