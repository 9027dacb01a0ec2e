package finals_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pollbridge/finals"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
)

// TestRetainCountsFromTheAnswer: not from when it was stored, nor from the start.
func TestRetainCountsFromTheAnswer(t *testing.T) {
	t.Parallel()
	f := opened(t, fresh(t))
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

// TestRetainAmongClocks: it counts by the servers' clock, whatever those of processes show.
func TestRetainAmongClocks(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	f := opened(t, s)
	const wrong = 10 * time.Minute
	at := func(token string, ago time.Duration) *session.Observation {
		o := document(2<<10, time.Now().Add(-ago))
		keep(t, f, ask(t, token), o)
		return o
	}
	s.SetClock(-wrong) // the process's clock is ahead
	at("over", 6*time.Minute)
	fast := at("fast", time.Minute)
	s.SetClock(wrong)
	slow := at("slow", 20*time.Minute)
	s.SetClock(0)
	fast.At, slow.At = fast.At.Add(-wrong), slow.At.Add(wrong)
	loads(t, f, ask(t, "over"))
	loads(t, f, ask(t, "fast"), fast)
	loads(t, f, ask(t, "slow"), slow)
	s.SetClock(wrong)
	loads(t, f, ask(t, "fast"))
}

// TestSharedBodies: who shares a body with another answer of the session gets it as if there were
// no other, and for as long as its own time lasts.
func TestSharedBodies(t *testing.T) {
	t.Parallel()
	dir, cfg := t.TempDir(), store.DefaultConfig()
	s, shut := open(t, dir, cfg)
	f := opened(t, s)
	first := document(1<<20, time.Now())
	soon, later := sameAs(first, time.Second), sameAs(first, 10*time.Minute)
	keep(t, f, further(t, "t", 1), first)
	keep(t, f, further(t, "t", 2), soon)
	keep(t, f, further(t, "t", 3), later)
	shut()
	s, _ = open(t, dir, cfg)
	f = opened(t, s)
	for i, o := range []*session.Observation{first, soon, later} {
		loads(t, f, further(t, "t", i+1), o)
	}
}

// another wants Other to return an answer with the body of want.
func another(t testing.TB, f *finals.Finals, v *session.Variant, want ...*session.Observation) {
	t.Helper()
	got, err := f.Other(testkit.Within(t), v)
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
	f := opened(t, fresh(t))
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

// TestDirectoryOfAnEarlierVersion: what it answered is answered still.
func TestDirectoryOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	earlier := testkit.Must(zip.OpenReader("../store/testdata/earlier.zip"))(t)
	defer earlier.Close()
	testkit.NoError(t, os.CopyFS(dir, earlier))
	cfg := store.DefaultConfig()
	cfg.Retain = 80 * 365 * 24 * time.Hour
	s, _ := open(t, dir, cfg)
	f := opened(t, s)
	shared := strings.Repeat("s", 2000)
	for token, want := range map[string][]string{"k0": {"k0"}, "k1": {"k1"}, "k2": {"k2"}, "shared": {shared, shared}} {
		var bodies []string
		for _, o := range testkit.Must(f.Load(testkit.Within(t), ask(t, token)))(t) {
			bodies = append(bodies, string(o.Body))
		}
		if !slices.Equal(bodies, want) {
			t.Errorf("the answers about %s are %q; want %q", token, bodies, want)
		}
	}
}
