package store_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
)

func bodies(t testing.TB, s *teststore.Store) *store.Bodies {
	t.Helper()
	return testkit.Must(s.Bodies(testkit.Within(t)))(t)
}

// bodyOf is a body that was made now.
func bodyOf(s *teststore.Store, owner, name, content string) store.Body {
	return store.Body{
		Owner: s.ID("own_", owner), Name: s.Hash("first", name) + "." + s.Hash("second", name),
		Made: time.Now(), Head: []byte("this is " + name), Body: []byte(content),
	}
}

// document has a content of its own.
func document(s *teststore.Store, owner, name string, size int) store.Body {
	d := bodyOf(s, owner, name, "")
	d.Body = make([]byte, size)
	rand.Read(d.Body)
	return d
}

// sameAs has the body of another one, a name of its own, and was made a while later.
func sameAs(s *teststore.Store, b store.Body, owner, name string, later time.Duration) store.Body {
	same := bodyOf(s, owner, name, "")
	same.Made, same.Body = b.Made.Add(later), b.Body
	return same
}

func keep(t testing.TB, b *store.Bodies, what store.Body) {
	t.Helper()
	if err := b.Keep(testkit.Within(t), what); err != nil {
		t.Fatalf("Keep: %v", err)
	}
}

// has wants an owner to have these under the name of what, and no others.
func has(t testing.TB, b *store.Bodies, what store.Body, want ...store.Body) {
	t.Helper()
	n := 0
	err := b.Each(testkit.Within(t), what.Owner, what.Name+".>", func(stored *store.Stored) (bool, error) {
		body, err := b.Body(testkit.Within(t), stored)
		if err != nil {
			return false, err
		}
		if n < len(want) && (stored.Owner != want[n].Owner || stored.Name != want[n].Name || !bytes.Equal(stored.Head, want[n].Head) || !bytes.Equal(body, want[n].Body)) {
			t.Errorf("%s has %.40q, %d bytes", what.Name, stored.Head, len(body))
		}
		n++
		return true, nil
	})
	if err != nil || n != len(want) {
		t.Fatalf("Each has %d bodies, %v; want %d", n, err, len(want))
	}
}

// contents are the bodies that an owner has under the name of what.
func contents(t testing.TB, b *store.Bodies, what store.Body) (all []string) {
	t.Helper()
	testkit.NoError(t, b.Each(testkit.Within(t), what.Owner, what.Name+".>", func(stored *store.Stored) (bool, error) {
		body, err := b.Body(testkit.Within(t), stored)
		all = append(all, string(body))
		return true, err
	}))
	return all
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	b := bodies(t, s)
	for _, size := range []int{0, 4<<20 - 300, 4 << 20, 4<<20 + 1, 8 << 20, 64<<20 - 1000} {
		large := document(s, "o", "a", size)
		keep(t, b, large)
		has(t, b, large, large)
		testkit.NoError(t, b.Forget(testkit.Within(t), large.Owner))
	}
	if err := b.Keep(testkit.Within(t), document(s, "o", "a", 64<<20)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Keep of more than 64 MiB with its head: %v; want ErrTooLarge", err)
	}
}

func TestForgetErasesAllOfAnOwner(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	b := bodies(t, s)
	small, large, other := bodyOf(s, "o", "a", "a"), document(s, "o", "b", 5<<20), bodyOf(s, "p", "a", "a")
	keep(t, b, small)
	keep(t, b, large)
	keep(t, b, other)
	testkit.NoError(t, b.Forget(testkit.Within(t), small.Owner))
	has(t, b, small)
	has(t, b, large)
	has(t, b, other, other)
	if b.Forget(testkit.Within(t), ">") == nil || b.Each(testkit.Within(t), ">", ">", nil) == nil {
		t.Error("> was taken for an owner")
	}
}

func TestBodiesAreForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Retain = time.Second
	s, _ := open(t, cfg)
	b := bodies(t, s)
	keep(t, b, bodyOf(s, "o", "a", "a"))
	testkit.Eventually(t, "nothing is stored any more", func() bool { return testkit.Must(b.Bytes(testkit.Within(t)))(t) == 0 })
}

func TestHalfWrittenBodiesAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	b := bodies(t, s)
	half, broken, cut, good := document(s, "half", "a", 9<<20), document(s, "broken", "a", 9<<20), document(s, "cut", "a", 9<<20), document(s, "good", "a", 9<<20)
	keep(t, b, good)
	keep(t, b, broken)
	keep(t, b, cut)
	if err := errors.Join(b.KeepHalf(testkit.Within(t), half), b.LoseChunk(testkit.Within(t), broken, "1"), b.LoseChunk(testkit.Within(t), cut, "2")); err != nil {
		t.Fatal(err)
	}
	has(t, b, half)
	has(t, b, broken)
	has(t, b, cut)
	has(t, b, good, good)
	shut()

	s, _ = open(t, config(dir))
	b = bodies(t, s)
	has(t, b, half)
	has(t, b, good, good)
	if chunks := testkit.Must(b.Chunks(testkit.Within(t)))(t); chunks != 3+2+2 {
		t.Errorf("%d chunks are left; want those of the bodies that were kept", chunks)
	}
}

// TestBodiesThatOthersAreStoring are not taken for what somebody has left behind.
func TestBodiesThatOthersAreStoring(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	stores := testkit.Must(o.store().Bodies(testkit.Within(t)))(t)
	testkit.NoError(t, stores.KeepHalf(testkit.Within(t), document(fresh(t), "o", "a", 1<<20)))
	starts := testkit.Must(o.store().Bodies(testkit.Within(t)))(t)
	if n := testkit.Must(starts.Chunks(testkit.Within(t)))(t); n != 1 {
		t.Errorf("%d chunks are left of a body that is being stored; want 1", n)
	}
	testkit.NoError(t, starts.Sweep(testkit.Within(t), 0))
	if n := testkit.Must(starts.Chunks(testkit.Within(t)))(t); n != 0 {
		t.Errorf("%d chunks are left of a body that nobody is storing any more", n)
	}
}

// TestBodiesInEarlierForms are read, and erased with the others.
func TestBodiesInEarlierForms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	b := bodies(t, s)
	small, large := document(s, "o", "a", 100<<10), document(s, "o", "b", 9<<20)
	testkit.NoError(t, errors.Join(b.KeepInFirstForm(testkit.Within(t), small), b.KeepInFirstForm(testkit.Within(t), large), b.KeepInUnknownForm(testkit.Within(t), small)))
	same := sameAs(s, small, "o", "c", time.Millisecond)
	keep(t, b, same)
	shut()
	s, _ = open(t, config(dir))
	b = bodies(t, s)
	has(t, b, small, small)
	has(t, b, large, large)
	has(t, b, same, same)
	testkit.NoError(t, b.Forget(testkit.Within(t), small.Owner))
	atMost(t, b, 0)
}

// TestRecentBodies are those of owners that are wanted, whatever their size, but not those of long
// before.
func TestRecentBodies(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	b := bodies(t, s)
	recent := func(before time.Duration, wanted string) (found string) {
		t.Helper()
		testkit.NoError(t, b.Recent(testkit.Within(t), before, func(owner string) bool { return wanted == "" || owner == s.ID("own_", wanted) }, func(stored *store.Stored) {
			found += strings.TrimPrefix(string(stored.Head), "this is ")
		}))
		return found
	}
	if found := recent(time.Minute, ""); found != "" {
		t.Errorf("%s where nothing was kept", found)
	}
	keep(t, b, bodyOf(s, "o", "a", "a"))
	keep(t, b, document(s, "p", "b", 9<<20))
	for want, found := range map[string]string{"ab": recent(time.Minute, ""), "b": recent(0, ""), "a": recent(time.Minute, "o")} {
		if found != want {
			t.Errorf("%q was recent; want %q", found, want)
		}
	}
}
