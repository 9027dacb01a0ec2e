package due_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pollbridge/watch/due"
)

// crowd is many sessions and an upstream that takes few polls.
type crowd struct {
	now    time.Time
	queue  *due.Queue[int]
	limits due.Limits
	rate   float64 // of polls that the upstream takes; limits may know less
	gaps   []time.Duration
	chance []float64 // of news in a second
	turns  []due.Turn[int]

	polls   []int
	longest time.Duration
}

func newCrowd(limits due.Limits, rate float64, gaps []time.Duration, chance []float64) *crowd {
	c := &crowd{now: time.Unix(1e9, 0), limits: limits, rate: rate, gaps: gaps, chance: chance, turns: make([]due.Turn[int], len(gaps)), polls: make([]int, len(gaps))}
	c.queue = due.New(func(i int, now time.Time) float64 {
		return -math.Expm1(-c.chance[i] * now.Sub(c.turns[i].Since).Seconds())
	})
	for i, gap := range gaps {
		c.turns[i].Of = i
		c.queue.Put(&c.turns[i], c.now.Add(gap), c.now)
	}
	return c
}

// run has as many polls made as the upstream takes in a time.
func (c *crowd) run(d time.Duration) {
	turn := time.Duration(float64(time.Second) / c.rate)
	for end := c.now.Add(d); c.now.Before(end); {
		first, wait := c.queue.Next(c.now, c.limits)
		if first == nil {
			c.now = c.now.Add(min(wait, end.Sub(c.now)))
			continue
		}
		c.queue.Polled()
		c.longest = max(c.longest, c.now.Sub(first.Since))
		c.polls[first.Of]++
		c.queue.Put(first, c.now.Add(c.gaps[first.Of]), c.now)
		c.now = c.now.Add(turn)
	}
}

// TestNobodyStarves: however few polls the upstream takes, however gaps and chances differ, and whatever
// is known of the rate, none waits for longer than the greatest of four of the longest gaps and twice
// what one round takes; nor when all wait that were polled within a moment.
func TestNobodyStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 5 * time.Second
		n := rapid.IntRange(1, 300).Draw(t, "sessions")
		rate := rapid.Float64Range(1, 500).Draw(t, "rate")
		gaps, chance := make([]time.Duration, n), make([]float64, n)
		for i := range gaps {
			gaps[i] = time.Duration(rapid.Int64Range(int64(most/20), int64(most)).Draw(t, "gap"))
			chance[i] = math.Pow(10, rapid.Float64Range(-6, 1).Draw(t, "chance"))
		}
		limits := due.Limits{Longest: max(4*most, time.Duration(2*float64(n)/rate*float64(time.Second))), Rate: rate}
		if rapid.Bool().Draw(t, "unknown") {
			limits.Rate = 0
		}
		c := newCrowd(limits, rate, gaps, chance)
		c.run(8 * limits.Longest)
		if c.longest > limits.Longest {
			t.Fatalf("%d sessions, %v polls a second: one waited for %v, want %v at most", n, rate, c.longest, limits.Longest)
		}
		for i, n := range c.polls {
			if n == 0 {
				t.Fatalf("session %d had no poll", i)
			}
		}
	})
}

// TestNewsGoFirst: where the upstream takes a third of the polls that are due, those go first that are
// likely to bring news.
func TestNewsGoFirst(t *testing.T) {
	gaps, chance := make([]time.Duration, 300), make([]float64, 300)
	for i := range gaps {
		gaps[i], chance[i] = time.Second, []float64{.2, .01, .001}[i%3]
	}
	c := newCrowd(due.Limits{Longest: 20 * time.Second, Rate: 100}, 100, gaps, chance)
	c.run(5 * time.Minute)
	often, seldom := 0, 0
	for i, n := range c.polls {
		switch i % 3 {
		case 0:
			often += n
		case 2:
			seldom += n
		}
	}
	if often < 6*seldom || seldom < 100*300/20 {
		t.Errorf("the likeliest had %d polls, the unlikeliest %d", often, seldom)
	}
}

// TestWorthTheMostGoesFirst: to a sixteenth, whatever polls are worth.
func TestWorthTheMostGoesFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		worth := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64Range(0, 10_000), rapid.Just(0.0)), 1, 16).Draw(t, "worth")
		now := time.Unix(1e9, 0)
		q, turns := due.New(func(i int, _ time.Time) float64 { return worth[i] }), make([]due.Turn[int], len(worth))
		for i := range turns {
			turns[i].Of = i
			q.Put(&turns[i], now, now)
		}
		last := math.Inf(1)
		for range turns {
			first, _ := q.Next(now, due.Limits{Longest: time.Hour, Rate: 100})
			const nothing = 1e-13
			if w := worth[first.Of]; w > last*17/16 && w > nothing {
				t.Fatalf("one that is worth %v went before one that is worth %v", last, w)
			}
			last = worth[first.Of]
		}
	})
}

// TestFewAreLookedAt: however many are due at once, one turn is not found out by looking at all of them.
func TestFewAreLookedAt(t *testing.T) {
	const sessions, most = 100_000, 32
	now, looked := time.Unix(1e9, 0), 0
	q, turns := due.New(func(i int, _ time.Time) float64 { looked++; return float64(i % 97) }), make([]due.Turn[int], sessions)
	for i := range turns {
		turns[i].Of = i
		q.Put(&turns[i], now.Add(time.Second), now)
	}
	now = now.Add(5 * time.Second)
	limits := due.Limits{Longest: 20 * time.Second, Rate: 10_000}
	for range sessions {
		looked = 0
		first, _ := q.Next(now, limits)
		if looked > most {
			t.Fatalf("for one turn of %d, %d were looked at; want %d at most", sessions, looked, most)
		}
		q.Polled()
		q.Put(first, now.Add(time.Second), now)
		now = now.Add(100 * time.Microsecond)
	}
}

// TestOneOrder: where nothing is known of what a poll is worth, whoever was due first goes first, whatever
// came between.
func TestOneOrder(t *testing.T) {
	q, now := due.New[int](nil), time.Unix(1e9, 0)
	turns := make([]due.Turn[int], 50)
	for i := range turns {
		q.Put(&turns[i], now.Add(time.Duration(rand.IntN(10_000))*time.Millisecond), now)
	}
	q.Put(&turns[7], now.Add(time.Hour), now)
	q.Remove(&turns[8])
	q.Remove(&turns[8])
	last := time.Time{}
	for range len(turns) - 2 {
		next, _ := q.Next(now.Add(time.Minute), due.Limits{})
		if next == nil || next.At.Before(last) || next.Waits() {
			t.Fatalf("%+v went after one that was due at %v", next, last)
		}
		last = next.At
	}
	if q.Ready(now.Add(time.Minute)) || !q.Ready(now.Add(time.Hour)) {
		t.Error("one is due in an hour, and no other")
	}
	if next, wait := q.Next(now, due.Limits{}); next != nil || wait != time.Hour {
		t.Errorf("of none, one is due: %v, %v", next, wait)
	}
}

// TestWhatChangesMeanwhile: a turn that is due may be put off, or go.
func TestWhatChangesMeanwhile(t *testing.T) {
	c := newCrowd(due.Limits{Longest: 20 * time.Second, Rate: 10}, 10, make([]time.Duration, 30), make([]float64, 30))
	c.run(time.Second)
	c.queue.Put(&c.turns[3], c.now.Add(time.Hour), c.now)
	c.queue.Remove(&c.turns[4])
	before := c.polls[3] + c.polls[4]
	c.run(20 * time.Second)
	if after := c.polls[3] + c.polls[4]; after != before {
		t.Errorf("they had %d polls", after-before)
	}
}

func BenchmarkNext(b *testing.B) {
	gaps, chance := make([]time.Duration, 100_000), make([]float64, 100_000)
	for i := range gaps {
		gaps[i], chance[i] = time.Second, .001*float64(i%97)
	}
	c := newCrowd(due.Limits{Longest: 20 * time.Second, Rate: 10_000}, 10_000, gaps, chance)
	c.run(10 * time.Second)
	b.ReportAllocs()
	for b.Loop() {
		c.run(100 * time.Microsecond)
	}
}
