package store_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
)

// further asks for a token with a field that most do not send.
func further(t testing.TB, token string, i int) *session.Variant {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	return question(t, endpoints, token, fmt.Sprintf(`{"access_token":"planted-credential","x":%d}`, i))
}

// document is an answer with a body of its own, made at a time.
func document(size int, at time.Time) *session.Observation {
	o := answer(lt, "")
	o.At, o.Body = at, make([]byte, size)
	rand.Read(o.Body)
	return o
}

// sameAs is an answer with the body of another one, made a while later.
func sameAs(o *session.Observation, later time.Duration) *session.Observation {
	same := answer(lt, string(o.Body))
	same.At = o.At.Add(later)
	return same
}

// atMost wants the answers to take no more than a number of bytes of the disk.
func atMost(t testing.TB, f *store.Finals, size int) {
	t.Helper()
	if n := must(f.Bytes(within(t)))(t); n > uint64(size) {
		t.Errorf("%d bytes are stored; want no more than %d", n, size)
	}
}

// few is more than answers take besides their bodies.
const few = 40 << 10

// TestABodyIsStoredOnceInASession: whether the variants are asked for one after the
// other or at the same time, and whatever the size.
func TestABodyIsStoredOnceInASession(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32 << 10, 1 << 20, 5 << 20} {
		for _, inTurn := range []bool{true, false} {
			t.Run(fmt.Sprint(size, " in turn ", inTurn), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s, shut := open(t, config(dir))
				f := finals(t, s)
				first := document(size, time.Now())
				var keeping sync.WaitGroup
				for i := range 20 {
					keeping.Go(func() { keep(t, f, further(t, "t", i), sameAs(first, time.Duration(i))) })
					if inTurn {
						keeping.Wait()
					}
				}
				keeping.Wait()
				atMost(t, f, size+few)
				shut()
				s, _ = open(t, config(dir))
				f = finals(t, s)
				for i := range 20 {
					loads(t, f, further(t, "t", i), sameAs(first, time.Duration(i)))
				}
				if err := f.Forget(within(t), s.SessionID(further(t, "t", 0))); err != nil {
					t.Fatal(err)
				}
				loads(t, f, further(t, "t", 3))
				atMost(t, f, 0)
			})
		}
	}
}

// TestBodiesOfOtherSessionsAreTheirOwn: no answer crosses sessions, equal or not.
func TestBodiesOfOtherSessionsAreTheirOwn(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	f := finals(t, s)
	first := document(100<<10, time.Now())
	keep(t, f, ask(t, "t"), first)
	keep(t, f, ask(t, "u"), first)
	other := document(100<<10, time.Now())
	keep(t, f, further(t, "t", 1), other)
	if err := f.Forget(within(t), s.SessionID(ask(t, "u"))); err != nil {
		t.Fatal(err)
	}
	loads(t, f, ask(t, "t"), first)
	loads(t, f, further(t, "t", 1), other)
	loads(t, f, ask(t, "u"))
}

// TestABodyLastsAsLongAsItsLastAnswer: an answer that is made so much later that it
// outlives the one that has the body takes that over, and there is still one.
func TestABodyLastsAsLongAsItsLastAnswer(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100 << 10, 5 << 20} {
		dir := t.TempDir()
		s, shut := open(t, config(dir))
		f := finals(t, s)
		first := document(size, time.Now())
		second, third := sameAs(first, 10*time.Minute), sameAs(first, 20*time.Minute)
		again := sameAs(first, 30*time.Minute)
		keep(t, f, further(t, "t", 1), first)
		keep(t, f, further(t, "t", 2), sameAs(first, time.Second))
		keep(t, f, further(t, "t", 3), second)
		atMost(t, f, size+few)
		keep(t, f, further(t, "t", 4), third)
		keep(t, f, further(t, "t", 4), sameAs(third, time.Second))
		keep(t, f, further(t, "t", 4), again)
		atMost(t, f, size+few)
		shut()
		s, _ = open(t, config(dir))
		f = finals(t, s)
		loads(t, f, further(t, "t", 1), first)
		loads(t, f, further(t, "t", 2), sameAs(first, time.Second))
		loads(t, f, further(t, "t", 3), second)
		loads(t, f, further(t, "t", 4), again)
	}
}

// TestTheLastReferenceErasesTheBody: of what was shared nothing is left.
func TestTheLastReferenceErasesTheBody(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Retain = 2 * time.Second
	s, _ := open(t, cfg)
	f := finals(t, s)
	first := document(5<<20, time.Now())
	later := sameAs(first, time.Second)
	keep(t, f, further(t, "t", 1), first)
	keep(t, f, further(t, "t", 2), later)
	testkit.Eventually(t, "the first answer is over", func() bool {
		got, err := f.Load(within(t), further(t, "t", 1))
		return err == nil && len(got) == 0
	})
	if time.Now().Before(later.At.Add(cfg.Retain / 2)) {
		loads(t, f, further(t, "t", 2), later)
	}
	testkit.Eventually(t, "nothing is stored any more", func() bool { return must(f.Bytes(within(t)))(t) == 0 })
}

// TestRetainCountsFromTheAnswer: not from when it was stored, nor from the start.
func TestRetainCountsFromTheAnswer(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	f := finals(t, s)
	retain := store.DefaultConfig().Retain
	keep(t, f, ask(t, "over"), document(2<<10, time.Now().Add(-retain)))
	keep(t, f, further(t, "over", 1), document(5<<20, time.Now().Add(-retain-time.Hour)))
	left := document(2<<10, time.Now().Add(time.Minute-retain))
	keep(t, f, ask(t, "left"), left)
	loads(t, f, ask(t, "over"))
	loads(t, f, further(t, "over", 1))
	loads(t, f, ask(t, "left"), left)
	another(t, f, further(t, "over", 2), nil)
	another(t, f, further(t, "left", 2), left)
}

// another wants Other to return an answer with the body of want.
func another(t testing.TB, f *store.Finals, v *session.Variant, want ...*session.Observation) {
	t.Helper()
	got, err := f.Other(within(t), v)
	if err != nil {
		t.Fatalf("Other: %v", err)
	}
	for _, o := range want {
		if o == nil && got == nil || o != nil && got != nil && o.At.Equal(got.At) && bytes.Equal(o.Body, got.Body) && o.Locale == got.Locale {
			return
		}
	}
	t.Errorf("Other returns %v", got)
}

// TestOther: an answer to whatever other variant of the session, and of no other.
func TestOther(t *testing.T) {
	t.Parallel()
	f := finals(t, fresh(t))
	endpoints, _ := session.Dialect("marksign")
	plain, large := document(2<<10, time.Now()), document(5<<20, time.Now())
	inEnglish := answer(en, "refused")
	keep(t, f, ask(t, "t"), plain)
	another(t, f, ask(t, "t"), nil)
	another(t, f, ask(t, "t").In(en), nil)
	another(t, f, further(t, "t", 1), plain)
	another(t, f, further(t, "t", 1).In(en), plain)
	keep(t, f, further(t, "t", 1), large)
	another(t, f, ask(t, "t"), large)
	another(t, f, further(t, "t", 1), plain)
	another(t, f, further(t, "t", 2), plain, large)
	keep(t, f, further(t, "t", 2), sameAs(large, time.Minute))
	another(t, f, ask(t, "t"), large, sameAs(large, time.Minute))
	keep(t, f, further(t, "u", 1).In(en), inEnglish)
	another(t, f, ask(t, "u"), inEnglish)
	for _, body := range []string{`{"access_token":"planted-credentiaL"}`, `{"access_token":"x","y":"planted-credential"}`} {
		another(t, f, question(t, endpoints, "t", body), nil)
	}
	another(t, f, ask(t, "v"), nil)
}

// TestAnswersOfEarlierVersions are read, and erased with the others.
func TestAnswersOfEarlierVersions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	f := finals(t, s)
	small, large := document(100<<10, time.Now()), document(9<<20, time.Now())
	for v, o := range map[*session.Variant]*session.Observation{ask(t, "t"): small, further(t, "t", 1): large} {
		if err := f.KeepInFirstForm(within(t), v, o); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.KeepInUnknownForm(within(t), ask(t, "t"), small); err != nil {
		t.Fatal(err)
	}
	keep(t, f, further(t, "t", 2), sameAs(small, time.Millisecond))
	shut()
	s, _ = open(t, config(dir))
	f = finals(t, s)
	loads(t, f, ask(t, "t"), small)
	loads(t, f, further(t, "t", 1), large)
	loads(t, f, further(t, "t", 2), sameAs(small, time.Millisecond))
	another(t, f, further(t, "t", 2), small, large)
	if err := f.Forget(within(t), s.SessionID(ask(t, "t"))); err != nil {
		t.Fatal(err)
	}
	atMost(t, f, 0)
}
