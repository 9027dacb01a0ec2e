package finals_test

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"pollbridge/cache"
	"pollbridge/finals"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
)

var _ cache.Finals = (*finals.Finals)(nil)

const (
	lt = 0 // locales of the marksign dialect
	en = 1
)

func opened(t testing.TB, s *teststore.Store) *finals.Finals {
	t.Helper()
	return testkit.Must(finals.Open(testkit.Within(t), s.Store))(t)
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

func keep(t testing.TB, f *finals.Finals, v *session.Variant, o *session.Observation) {
	t.Helper()
	if err := f.Keep(testkit.Within(t), v, o); err != nil {
		t.Fatalf("Keep: %v", err)
	}
}

func loads(t testing.TB, f *finals.Finals, v *session.Variant, want ...*session.Observation) {
	t.Helper()
	got, err := f.Load(testkit.Within(t), v)
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
	s, shut := open(t, dir, store.DefaultConfig())
	f := opened(t, s)
	v := ask(t, "token-1")
	loads(t, f, v)
	first, second, empty := answer(en, "first\x00\xff"), answer(lt, "second"), answer(en, "")
	keep(t, f, v.In(en), first)
	keep(t, f, v, second)
	keep(t, f, v, empty)
	keep(t, f, ask(t, "token-2"), answer(lt, "other"))
	loads(t, f, v, first, second, empty)
	shut()

	s, _ = open(t, dir, store.DefaultConfig())
	f = opened(t, s)
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
	f := opened(t, fresh(t))
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

func TestForgetErasesASession(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	f := opened(t, s)
	endpoints, _ := session.Dialect("marksign")
	v, further, other := ask(t, "t"), question(t, endpoints, "t", `{"access_token":"planted-credential","x":1}`), ask(t, "u")
	large := answer(en, strings.Repeat("x", 5<<20))
	keep(t, f, v, answer(lt, "a"))
	keep(t, f, v, large)
	keep(t, f, further, answer(lt, "b"))
	keep(t, f, other, answer(lt, "c"))
	if err := f.Forget(testkit.Within(t), session.ID(s, v)); err != nil {
		t.Fatal(err)
	}
	loads(t, f, v)
	loads(t, f, further)
	loads(t, f, other, answer(lt, "c"))
	if f.Forget(testkit.Within(t), ">") == nil {
		t.Error("> was taken for a session's id")
	}
}

func TestSessionIDs(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	id := session.ID(s, ask(t, "t"))
	if !strings.HasPrefix(id, "ses_") || len(id) != 4+26 || strings.Trim(id[4:], "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("SessionID = %s", id)
	}
	if session.ID(s, ask(t, "t").In(en)) != id || session.ID(s, ask(t, "u")) == id {
		t.Error("ids do not tell sessions apart, or locales of one")
	}
	if s.ID("x_", "ab", "c") == s.ID("x_", "a", "bc") || s.ID("x_") == s.ID("x_", "") {
		t.Error("two lists of parts are hashed alike")
	}
	if fresh(t).ID("x_", "a") == s.ID("x_", "a") {
		t.Error("another key hashes alike")
	}
}

// TestRecent: answers come back with what was asked, whatever their size, but not those of
// long before.
func TestRecent(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	answers := opened(t, s)
	endpoints, _ := session.Dialect("marksign")
	table := testkit.Must(session.NewTable(endpoints))(t)
	got := map[string]int{}
	wanted := func(string) bool { return true }
	recent := func(before time.Duration) {
		t.Helper()
		clear(got)
		err := answers.Recent(testkit.Within(t), before, wanted, table.ReadDurable, func(v *session.Variant, o *session.Observation) { got[v.Token+" "+v.Credential] = len(o.Body) })
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
	ctx, cancel := context.WithCancel(t.Context())
	err := answers.Recent(ctx, time.Minute, wanted, func(durable []byte) (*session.Variant, error) {
		cancel()
		return table.ReadDurable(durable)
	}, func(*session.Variant, *session.Observation) {})
	if err == nil {
		t.Error("what cannot be read for the moment counts as told")
	}
	wanted = func(id string) bool { return id == session.ID(s, ask(t, "small")) }
	read := 0
	err = answers.Recent(testkit.Within(t), time.Minute, wanted, func(durable []byte) (*session.Variant, error) {
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
