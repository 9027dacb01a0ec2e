package finals_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
)

// TestFinalOfASession: it is found by its session and the time at which it was made, whatever
// was asked and however it is stored.
func TestFinalOfASession(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	f := opened(t, s)
	id := session.ID(s, ask(t, "t"))
	now := time.Now()
	of := func(at time.Time, want string) {
		t.Helper()
		got, err := f.Of(testkit.Within(t), id, at)
		if err != nil || string(got.Body) != want || got.Status != 200 || len(got.Header) != 2 {
			t.Errorf("Of = %v, %v; want %.20q", got, err, want)
		}
	}
	made := func(ago time.Duration, locale int32, body string) {
		t.Helper()
		o := answer(locale, body)
		o.At = now.Add(-ago)
		keep(t, f, further(t, "t", int(ago)), o)
	}
	if _, err := f.Of(testkit.Within(t), id, now); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Of nothing: %v; want ErrNotFound", err)
	}
	large, shared := strings.Repeat("x", 9<<20), strings.Repeat("y", 64<<10)
	made(3, lt, "first")
	made(2, en, large)
	made(1, lt, shared)
	made(0, en, shared)
	keep(t, f, ask(t, "u"), document(10, now))
	for ago, want := range []string{shared, shared, large, "first"} {
		of(now.Add(-time.Duration(ago)), want)
	}
	of(now.Add(-time.Second), "first")
	of(time.Time{}, "first")
	over := answer(lt, "over")
	over.At = now.Add(-store.DefaultConfig().Retain)
	keep(t, f, ask(t, "t"), over)
	of(over.At, "first")

	js := testkit.Must(jetstream.New(s.Engine.Conn()))(t)
	answers := testkit.Must(js.Stream(testkit.Within(t), "FINALS"))(t)
	testkit.NoError(t, answers.Purge(testkit.Within(t), jetstream.WithPurgeSubject("FINALS.chunk."+id+".*.*.*.1")))
	if _, err := f.Of(testkit.Within(t), id, now.Add(-2)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Of what is damaged: %v; want ErrNotFound", err)
	}
	if _, err := f.Of(testkit.Within(t), ">", now); err == nil {
		t.Error("> was taken for a session's id")
	}
}
