package store_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
)

var _ cache.Finals = (*store.Finals)(nil)

const (
	lt = 0 // locales of the marksign dialect
	en = 1
)

func finals(t testing.TB, s *teststore.Store) *store.Finals {
	t.Helper()
	return must(s.Finals(within(t)))(t)
}

// variant makes the one that asks for a token with a body, or nil.
func variant(endpoints []session.Endpoint, token, body string) *session.Variant {
	table, err := session.NewTable(endpoints)
	if err != nil {
		return nil
	}
	match, ok := table.Match([]byte("POST"), []byte("/smartid/sign/status/"+token+".json"))
	var r session.Request
	if !ok || !r.Read(match, session.Incoming{Body: []byte(body)}) {
		return nil
	}
	return r.Variant()
}

func question(t testing.TB, endpoints []session.Endpoint, token, body string) *session.Variant {
	t.Helper()
	v := variant(endpoints, token, body)
	if v == nil {
		t.Fatalf("%s is no status request", token)
	}
	return v
}

const planted = `{"access_token":"planted-credential"}`

func ask(t testing.TB, token string) *session.Variant {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	return question(t, endpoints, token, planted)
}

// made is when all answers were made that do not say otherwise.
var made = time.Now()

func answer(locale int32, body string) *session.Observation {
	return &session.Observation{
		At:     made,
		Answer: session.Answer{State: session.Succeeded, Localized: true, Code: 40020, CallersFault: true},
		Locale: locale,
		Content: &session.Content{
			Status: 200, Body: []byte(body),
			Header: []session.Field{{Name: []byte("X-A"), Value: []byte("1\xff")}, {Name: []byte("X-A"), Value: []byte("")}},
		},
	}
}

func keep(t testing.TB, f *store.Finals, v *session.Variant, o *session.Observation) {
	t.Helper()
	if err := f.Keep(within(t), v, o); err != nil {
		t.Fatalf("Keep: %v", err)
	}
}

func loads(t testing.TB, f *store.Finals, v *session.Variant, want ...*session.Observation) {
	t.Helper()
	got, err := f.Load(within(t), v)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if len(got) != len(want) {
		t.Fatalf("Load returns %d answers; want %d", len(got), len(want))
	}
	for i, o := range got {
		same := o.At.Equal(want[i].At) && o.Answer == want[i].Answer && o.Locale == want[i].Locale && o.Status == want[i].Status &&
			len(o.Header) == len(want[i].Header) && bytes.Equal(o.Body, want[i].Body)
		for j := range o.Header {
			same = same && bytes.Equal(o.Header[j].Name, want[i].Header[j].Name) && bytes.Equal(o.Header[j].Value, want[i].Header[j].Value)
		}
		if !same {
			t.Errorf("answer %d came back as %+v", i, o.Answer)
		}
	}
}

func TestFinalsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	f := finals(t, s)
	v := ask(t, "token-1")
	loads(t, f, v)
	first, second, empty := answer(en, "first\x00\xff"), answer(lt, "second"), answer(en, "")
	keep(t, f, v.In(en), first)
	keep(t, f, v, second)
	keep(t, f, v, empty)
	keep(t, f, ask(t, "token-2"), answer(lt, "other"))
	loads(t, f, v, first, second, empty)
	shut()

	s, _ = open(t, config(dir))
	f = finals(t, s)
	loads(t, f, v, first, second, empty)
	loads(t, f, v.In(en), first, second, empty)
	loads(t, f, ask(t, "token-3"))

	// The configuration changed: other places in the list, other numbers of locales.
	endpoints, _ := session.Dialect("marksign")
	endpoints[0], endpoints[1] = endpoints[1], endpoints[0]
	for i := range endpoints {
		endpoints[i].Locales = []session.Locale{endpoints[i].Locales[1], endpoints[i].Locales[0]}
	}
	moved := question(t, endpoints, "token-1", `{"access_token":"planted-credential"}`)
	loads(t, f, moved, answer(lt, "first\x00\xff"), answer(en, "second"), answer(lt, ""))
}

func TestFinalsBelongToTheirVariant(t *testing.T) {
	t.Parallel()
	f := finals(t, fresh(t))
	endpoints, _ := session.Dialect("marksign")
	v := ask(t, "token")
	keep(t, f, v, answer(lt, "mine"))
	for _, body := range []string{
		`{"access_token":"planted-credentiaL"}`, `{"access_token":"planted-credential","x":1}`, `{"access_token":"x","y":"planted-credential"}`,
	} {
		loads(t, f, question(t, endpoints, "token", body))
	}
	loads(t, f, question(t, endpoints, "token", ` { "access_token" : "planted-credential" } `), answer(lt, "mine"))
}

func TestLargeFinals(t *testing.T) {
	t.Parallel()
	f := finals(t, fresh(t))
	large := answer(lt, "")
	for i, size := range []int{4<<20 - 300, 4 << 20, 4<<20 + 1, 8 << 20, 64<<20 - 1000} {
		v := ask(t, "token"+string(rune('a'+i)))
		large.Content.Body = make([]byte, size)
		rand.Read(large.Body[:1000])
		rand.Read(large.Body[size-1000:])
		keep(t, f, v, large)
		loads(t, f, v, large)
	}
	large.Content.Body = make([]byte, 64<<20+1)
	if err := f.Keep(within(t), ask(t, "token"), large); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Keep of more than 64 MiB: %v; want ErrTooLarge", err)
	}
}

func TestForgetErasesASession(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	f := finals(t, s)
	endpoints, _ := session.Dialect("marksign")
	v, further, other := ask(t, "t"), question(t, endpoints, "t", `{"access_token":"planted-credential","x":1}`), ask(t, "u")
	large := answer(en, strings.Repeat("x", 5<<20))
	keep(t, f, v, answer(lt, "a"))
	keep(t, f, v, large)
	keep(t, f, further, answer(lt, "b"))
	keep(t, f, other, answer(lt, "c"))
	if err := f.Forget(within(t), s.SessionID(v)); err != nil {
		t.Fatal(err)
	}
	loads(t, f, v)
	loads(t, f, further)
	loads(t, f, other, answer(lt, "c"))
	if f.Forget(within(t), ">") == nil {
		t.Error("> was taken for a session's id")
	}
}

func TestFinalsAreForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Retain = time.Second
	s, _ := open(t, cfg)
	f := finals(t, s)
	keep(t, f, ask(t, "t"), document(100, time.Now()))
	testkit.Eventually(t, "the answer is forgotten", func() bool {
		got, err := f.Load(within(t), ask(t, "t"))
		return err == nil && len(got) == 0
	})
	testkit.Eventually(t, "nothing is stored any more", func() bool { return must(f.Bytes(within(t)))(t) == 0 })
}

func TestSessionIDs(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	id := s.SessionID(ask(t, "t"))
	if !strings.HasPrefix(id, "ses_") || len(id) != 4+26 || strings.Trim(id[4:], "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("SessionID = %s", id)
	}
	if s.SessionID(ask(t, "t").In(en)) != id || s.SessionID(ask(t, "u")) == id {
		t.Error("ids do not tell sessions apart, or locales of one")
	}
	if s.ID("x_", "ab", "c") == s.ID("x_", "a", "bc") || s.ID("x_") == s.ID("x_", "") {
		t.Error("two lists of parts are hashed alike")
	}
	if fresh(t).ID("x_", "a") == s.ID("x_", "a") {
		t.Error("another key hashes alike")
	}
}

func TestHalfWrittenFinalsAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	f := finals(t, s)
	half, broken, cut, good := ask(t, "half"), ask(t, "broken"), ask(t, "cut"), ask(t, "good")
	large := answer(lt, strings.Repeat("x", 9<<20))
	keep(t, f, good, large)
	keep(t, f, broken, large)
	keep(t, f, cut, large)
	if err := errors.Join(f.KeepHalf(within(t), half, large.Body[:1<<20]), f.LoseChunk(within(t), broken, "1"), f.LoseChunk(within(t), cut, "2")); err != nil {
		t.Fatal(err)
	}
	loads(t, f, half)
	loads(t, f, broken)
	loads(t, f, cut)
	loads(t, f, good, large)
	shut()
	s, _ = open(t, config(dir))
	f = finals(t, s)
	loads(t, f, half)
	loads(t, f, good, large)
	if chunks := must(f.Chunks(within(t)))(t); chunks != 3+2+2 {
		t.Errorf("%d chunks are left; want those of the answers that were kept", chunks)
	}
}

// TestAnswersThatOthersAreStoring are not taken for what somebody has left behind.
func TestAnswersThatOthersAreStoring(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	stores := must(o.store().Finals(within(t)))(t)
	testkit.NoError(t, stores.KeepHalf(within(t), ask(t, "t"), make([]byte, 1<<20)))
	starts := must(o.store().Finals(within(t)))(t)
	if n := must(starts.Chunks(within(t)))(t); n != 1 {
		t.Errorf("%d chunks are left of an answer that is being stored; want 1", n)
	}
	testkit.NoError(t, starts.Sweep(within(t), 0))
	if n := must(starts.Chunks(within(t)))(t); n != 0 {
		t.Errorf("%d chunks are left of an answer that nobody is storing any more", n)
	}
}

// TestRecent: answers come back with what was asked, whatever their size, but not those of
// long before.
func TestRecent(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	answers := must(s.Finals(within(t)))(t)
	endpoints, _ := session.Dialect("marksign")
	table := must(session.NewTable(endpoints))(t)
	got := map[string]int{}
	wanted := func(string) bool { return true }
	recent := func(before time.Duration) {
		t.Helper()
		clear(got)
		err := answers.Recent(within(t), before, wanted, table.ReadDurable, func(v *session.Variant, o *session.Observation) { got[v.Token+" "+v.Credential] = len(o.Body) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if recent(time.Minute); len(got) != 0 {
		t.Errorf("%v when nothing was kept", got)
	}
	small, large := answer(lt, "signed"), answer(lt, strings.Repeat("x", 9<<20))
	keep(t, answers, ask(t, "small"), small)
	keep(t, answers, ask(t, "large"), large)
	recent(time.Minute)
	want := map[string]int{"small " + ask(t, "small").Credential: len(small.Body), "large " + ask(t, "large").Credential: len(large.Body)}
	if !maps.Equal(got, want) {
		t.Errorf("kept a moment ago: %v, want %v", got, want)
	}
	if recent(0); len(got) != 1 {
		t.Errorf("in no time before the newest: %v, want that one", got)
	}
	wanted = func(id string) bool { return id == s.SessionID(ask(t, "small")) }
	read := 0
	err := answers.Recent(within(t), time.Minute, wanted, func(durable []byte) (*session.Variant, error) {
		read++
		return table.ReadDurable(durable)
	}, func(v *session.Variant, _ *session.Observation) {
		if v.Token != "small" {
			t.Errorf("%s came, which is not wanted", v.Token)
		}
	})
	if err != nil || read != 1 {
		t.Errorf("%d were read of one that is wanted, %v", read, err)
	}
}
