package hazard_test

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"pollbridge/watch/hazard"
)

func drawBounds(t *rapid.T) hazard.Bounds {
	interval := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(time.Hour)).Draw(t, "interval"))
	return hazard.Bounds{Interval: interval, Most: time.Duration(float64(interval) * rapid.Float64Range(1, 20).Draw(t, "most"))}
}

// drawCounts learns from anything.
func drawCounts(t *rapid.T) *hazard.Counts {
	var c hazard.Counts
	curve := hazard.Fixed(hazard.Bounds{Interval: time.Second, Most: 5 * time.Second})
	age := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, int64(time.Minute)), rapid.SampledFrom([]int64{0, 1, int64(14 * time.Second), int64(120 * time.Second)}))
	for range rapid.IntRange(0, 60).Draw(t, "sessions") {
		l := hazard.Life{Pending: time.Duration(age.Draw(t, "pending")), Over: time.Duration(age.Draw(t, "over"))}
		for range rapid.SampledFrom([]int{1, 1, 30}).Draw(t, "times") {
			c.Learn(l, curve)
		}
	}
	return &c
}

// TestBoundsHold: nothing that sessions do takes a gap out of its bounds.
func TestBoundsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBounds(t)
		curve := drawCounts(t).Fit(b)
		for range 20 {
			age := time.Duration(rapid.Int64().Draw(t, "age"))
			pace := rapid.Float64Range(.5, 4).Draw(t, "pace")
			if gap := curve.Gap(age, pace); gap < b.Interval/4 || gap > b.Most {
				t.Fatalf("gap at %v with %+v is %v", age, b, gap)
			}
		}
	})
}

// TestLongerIntervalIsLongerGap: a longer interval polls no earlier, whatever was learnt. Not so where the
// shortest gap binds, which is longer then, too: what that leaves undone at a peak is made up for elsewhere.
func TestLongerIntervalIsLongerGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, c := drawBounds(t), drawCounts(t)
		longer := b
		longer.Interval = min(b.Interval+time.Duration(rapid.Int64Range(0, int64(b.Interval)).Draw(t, "more")), b.Most)
		short, long := c.Fit(b), c.Fit(longer)
		if long.Most()*longer.Least().Seconds() > .999 {
			return
		}
		for range 20 {
			age := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "age"))
			const close = 1.01 // to which the delay is found
			if s, l := short.Gap(age, 1), long.Gap(age, 1); float64(s) > close*float64(l) {
				t.Fatalf("gap at %v is %v with %v, and %v with %v", age, s, b, l, longer)
			}
		}
	})
}

// TestFixedUntilEnoughIsKnown: so few sessions say nothing, nor do any that never end.
func TestFixedUntilEnoughIsKnown(t *testing.T) {
	b := hazard.Bounds{Interval: time.Second, Most: 5 * time.Second}
	var c hazard.Counts
	for i := range 1000 {
		l := hazard.Life{Pending: 600 * time.Second}
		if i < 19 {
			l = hazard.Life{Pending: 9 * time.Second, Over: 10 * time.Second}
		}
		c.Learn(l, hazard.Fixed(b))
	}
	for age := range 700 {
		if gap := c.Fit(b).Gap(time.Duration(age)*time.Second, 1); (gap - time.Second).Abs() > time.Microsecond {
			t.Fatalf("gap at %d s is %v", age, gap)
		}
	}
}

// TestLooksWhereSessionsEnd: often just there, seldom before, and no more than it is used to where
// nobody came.
func TestLooksWhereSessionsEnd(t *testing.T) {
	b := hazard.Bounds{Interval: time.Second, Most: 5 * time.Second}
	var c hazard.Counts
	curve := hazard.Fixed(b)
	for range 200 {
		c.Learn(hazard.Life{Pending: 29 * time.Second, Over: 30 * time.Second}, curve)
	}
	curve = c.Fit(b)
	for age, want := range map[time.Duration][2]time.Duration{
		10 * time.Second:  {5 * time.Second, 5 * time.Second},
		29 * time.Second:  {500 * time.Millisecond, 1100 * time.Millisecond},
		100 * time.Second: {900 * time.Millisecond, 5 * time.Second},
	} {
		if gap := curve.Gap(age, 1); gap < want[0] || gap > want[1] {
			t.Errorf("gap at %v is %v, want %v", age, gap, want)
		}
	}
}

// TestMergeCommutes: replicas that learn apart know together what one would, in whatever order
// they hear of each other.
func TestMergeCommutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawCounts(t), drawCounts(t), drawCounts(t)
		var ab, cba hazard.Counts
		for _, other := range []*hazard.Counts{a, b, c} {
			ab.Merge(other)
		}
		b.Advance(3000) // as if it was told of the others
		for _, other := range []*hazard.Counts{c, b, a} {
			cba.Merge(other)
		}
		ab.Advance(3000)
		bounds := hazard.Bounds{Interval: time.Second, Most: 5 * time.Second}
		one, other := ab.Fit(bounds), cba.Fit(bounds)
		if ab.Sessions() != cba.Sessions() {
			t.Fatalf("%v and %v sessions", ab.Sessions(), cba.Sessions())
		}
		for age := range 200 {
			at := time.Duration(age) * time.Second
			if x, y := one.Gap(at, 1), other.Gap(at, 1); math.Abs(float64(x-y)) > float64(time.Millisecond) {
				t.Fatalf("gap at %v is %v and %v", at, x, y)
			}
		}
	})
}

func TestStoredAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCounts(t)
		stored := c.Append(nil)
		read, err := hazard.Read(stored)
		if err != nil || read.Sessions() != c.Sessions() {
			t.Fatalf("Read = %v sessions, %v; want %v", read.Sessions(), err, c.Sessions())
		}
		b := hazard.Bounds{Interval: time.Second, Most: 5 * time.Second}
		if x, y := read.Fit(b).Gap(14*time.Second, 1), c.Fit(b).Gap(14*time.Second, 1); (x - y).Abs() > time.Millisecond {
			t.Fatalf("gap is %v, and was %v", x, y)
		}
	})
}

// FuzzRead: whatever is read, the bounds hold.
func FuzzRead(f *testing.F) {
	var c hazard.Counts
	curve := hazard.Fixed(hazard.Bounds{Interval: time.Second, Most: 5 * time.Second})
	for i := range 30 {
		c.Learn(hazard.Life{Pending: time.Duration(i) * time.Second, Over: time.Duration(i+1) * time.Second}, curve)
	}
	f.Add(c.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		c, err := hazard.Read(stored)
		if err != nil {
			return
		}
		b := hazard.Bounds{Interval: time.Second, Most: 5 * time.Second}
		c.Learn(hazard.Life{Over: time.Second}, hazard.Fixed(b))
		var sum hazard.Counts
		sum.Merge(c)
		for age := range 100 {
			if gap := sum.Fit(b).Gap(time.Duration(age)*time.Second, 1); gap < b.Interval/4 || gap > b.Most {
				t.Fatalf("gap is %v", gap)
			}
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	// What is known of one endpoint: sessions whose start was seen and others, learnt here and
	// elsewhere, and the curve of each.
	const of = 2 * (2*unsafe.Sizeof(hazard.Counts{}) + unsafe.Sizeof(hazard.Curve{}))
	if of >= 64<<10 {
		t.Errorf("an endpoint takes %d bytes", of)
	}
}

func BenchmarkGap(b *testing.B) {
	curve := learnt().Fit(hazard.Bounds{Interval: time.Second, Most: 5 * time.Second})
	b.ReportAllocs()
	for b.Loop() {
		curve.Gap(2*time.Second, 1)
	}
}

func BenchmarkLearn(b *testing.B) {
	c, curve := learnt(), hazard.Fixed(hazard.Bounds{Interval: time.Second, Most: 5 * time.Second})
	b.ReportAllocs()
	for b.Loop() {
		c.Learn(hazard.Life{Pending: 13 * time.Second, Over: 14 * time.Second}, curve)
	}
}

func BenchmarkFit(b *testing.B) {
	c := learnt()
	b.ReportAllocs()
	for b.Loop() {
		c.Fit(hazard.Bounds{Interval: time.Second, Most: 5 * time.Second})
	}
}

func learnt() *hazard.Counts {
	var c hazard.Counts
	curve := hazard.Fixed(hazard.Bounds{Interval: time.Second, Most: 5 * time.Second})
	for i := range 500 {
		over := time.Duration(5+i%40*i%7) * time.Second
		if i%7 == 0 {
			over = 120 * time.Second
		}
		c.Learn(hazard.Life{Pending: over - time.Second, Over: over}, curve)
	}
	return &c
}
