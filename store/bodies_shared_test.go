package store_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// atMost wants the bodies to take no more than a number of bytes of the disk.
func atMost(t testing.TB, b *store.Bodies, size int) {
	t.Helper()
	if n := testkit.Must(b.Bytes(testkit.Within(t)))(t); n > uint64(size) {
		t.Errorf("%d bytes are stored; want no more than %d", n, size)
	}
}

// few is more than bodies take besides themselves.
const few = 40 << 10

// TestABodyIsStoredOnceForAnOwner: whether its names are kept one after the other or at the same
// time, and whatever the size.
func TestABodyIsStoredOnceForAnOwner(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32 << 10, 1 << 20, 5 << 20} {
		for _, inTurn := range []bool{true, false} {
			t.Run(fmt.Sprint(size, " in turn ", inTurn), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s, shut := open(t, config(dir))
				b := bodies(t, s)
				first := document(s, "o", "0", size)
				same := make([]store.Body, 20)
				var keeping sync.WaitGroup
				for i := range same {
					same[i] = sameAs(s, first, "o", strconv.Itoa(i), time.Duration(i))
					keeping.Go(func() { keep(t, b, same[i]) })
					if inTurn {
						keeping.Wait()
					}
				}
				keeping.Wait()
				atMost(t, b, size+few)
				shut()
				s, _ = open(t, config(dir))
				b = bodies(t, s)
				for i := range same {
					has(t, b, same[i], same[i])
				}
				testkit.NoError(t, b.Forget(testkit.Within(t), first.Owner))
				has(t, b, same[3])
				atMost(t, b, 0)
			})
		}
	}
}

// TestBodiesOfOthersAreTheirOwn: none crosses owners, equal or not.
func TestBodiesOfOthersAreTheirOwn(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	b := bodies(t, s)
	first, other := document(s, "o", "a", 100<<10), document(s, "o", "b", 100<<10)
	equal := sameAs(s, first, "p", "a", 0)
	keep(t, b, first)
	keep(t, b, equal)
	keep(t, b, other)
	testkit.NoError(t, b.Forget(testkit.Within(t), equal.Owner))
	has(t, b, first, first)
	has(t, b, other, other)
	has(t, b, equal)
}

// TestABodyLastsAsLongAsItsLastName: one that was made so much later that it outlives the one
// that has the body takes that over, and there is still one.
func TestABodyLastsAsLongAsItsLastName(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100 << 10, 5 << 20} {
		dir := t.TempDir()
		s, shut := open(t, config(dir))
		b := bodies(t, s)
		first := document(s, "o", "1", size)
		soon, second := sameAs(s, first, "o", "2", time.Second), sameAs(s, first, "o", "3", 10*time.Minute)
		third, again := sameAs(s, first, "o", "4", 20*time.Minute), sameAs(s, first, "o", "4", 30*time.Minute)
		keep(t, b, first)
		keep(t, b, soon)
		keep(t, b, second)
		atMost(t, b, size+few)
		keep(t, b, third)
		keep(t, b, sameAs(s, third, "o", "4", time.Second))
		keep(t, b, again)
		atMost(t, b, size+few)
		shut()
		s, _ = open(t, config(dir))
		b = bodies(t, s)
		for _, each := range []store.Body{first, soon, second, again} {
			has(t, b, each, each)
		}
	}
}

// TestTheLastReferenceErasesTheBody: of what was shared nothing is left.
func TestTheLastReferenceErasesTheBody(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Retain = 2 * time.Second
	s, _ := open(t, cfg)
	b := bodies(t, s)
	first := document(s, "o", "a", 5<<20)
	keep(t, b, first)
	keep(t, b, sameAs(s, first, "o", "b", time.Second))
	testkit.Eventually(t, "nothing is stored any more", func() bool { return testkit.Must(b.Bytes(testkit.Within(t)))(t) == 0 })
}

// TestABodyLastsByTheServersClock: what is over by that is kept no longer for what shares its body.
func TestABodyLastsByTheServersClock(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Retain = time.Hour
	s, _ := open(t, cfg)
	b := bodies(t, s)
	first := document(s, "o", "1", 100<<10)
	later := sameAs(s, first, "o", "2", 10*time.Minute)
	keep(t, b, first)
	s.SetClock(2 * time.Hour)
	keep(t, b, later)
	has(t, b, first)
	has(t, b, later, later)
}
