package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"pollbridge/cache"
	"pollbridge/finals"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
)

// full keeps nothing.
type full struct{ *finals.Finals }

func (full) Keep(context.Context, *session.Variant, *session.Observation) error {
	return errors.New("no space left")
}

// signed is an upstream that gives every answer anew.
type signed struct{}

func (signed) Poll(_ context.Context, v *session.Variant, _ session.PollOptions) (*session.Observation, error) {
	body := []byte(`{"status":"ok"}`)
	answer, err := v.Endpoint.Answer.Read(200, body)
	return &session.Observation{At: time.Now(), Answer: answer, Content: &session.Content{Status: 200, Body: body}}, err
}

// TestAnswers: what is not stored counts as much as what is.
func TestAnswers(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	s, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), log)
	testkit.NoError(t, err)
	t.Cleanup(func() { testkit.NoError(t, s.Close()) })
	a := answers{store: s.Store, unkept: &cache.Unkept{}}
	a.finals, err = finals.Open(t.Context(), s.Store)
	testkit.NoError(t, err)
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	testkit.NoError(t, err)
	for name, finals := range map[string]cache.Finals{"stored": a.finals, "full": full{a.finals}} {
		statuses, err := cache.New(cache.DefaultConfig(), cache.Options{Poller: signed{}, Finals: finals, Unkept: a.unkept, Log: log})
		testkit.NoError(t, err)
		t.Cleanup(statuses.Close)
		v, err := table.Variant("smartid-sign", name, "credential", "")
		testkit.NoError(t, err)
		told, err := statuses.Get(t.Context(), v)
		testkit.NoError(t, err)
		o, err := a.Of(t.Context(), session.ID(s, v), told.At)
		if err != nil || !o.At.Equal(told.At) || string(o.Body) != `{"status":"ok"}` {
			t.Errorf("%s: Of = %v, %v; want what was told", name, o, err)
		}
		if o, err = a.Of(t.Context(), session.ID(s, v), told.At.Add(time.Second)); err != nil || !o.At.Equal(told.At) {
			t.Errorf("%s: Of nearly that time = %v, %v; want what was told", name, o, err)
		}
		if _, err := a.Of(t.Context(), s.ID("ses_", name), told.At); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: Of another session: %v; want store.ErrNotFound", name, err)
		}
	}
	if a.unkept.Count() != 1 {
		t.Errorf("%d answers are not stored; want one", a.unkept.Count())
	}
}

// TestAnswersElsewhere: another replica is asked for what is not stored, as long as that may be.
func TestAnswersElsewhere(t *testing.T) {
	t.Parallel()
	s, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	t.Cleanup(func() { testkit.NoError(t, s.Close()) })
	there := &session.Observation{}
	cutOff := errors.New("it cannot be reached")
	a := answers{store: s.Store, unkept: &cache.Unkept{}, retain: time.Minute}
	a.finals, err = finals.Open(t.Context(), s.Store)
	testkit.NoError(t, err)
	for _, c := range []struct {
		made            time.Duration
		elsewhere, want error
	}{
		{made: time.Second},
		{made: time.Second, elsewhere: store.ErrNotFound, want: store.ErrNotFound},
		{made: time.Second, elsewhere: cutOff, want: cutOff},
		{made: time.Hour, want: store.ErrNotFound},
	} {
		a.elsewhere = func(context.Context, string, time.Time) (*session.Observation, error) { return there, c.elsewhere }
		o, err := a.Of(t.Context(), s.ID("ses_", "x"), time.Now().Add(-c.made))
		if !errors.Is(err, c.want) || err == nil && o != there {
			t.Errorf("%v ago, elsewhere %v: Of = %v, %v; want %v", c.made, c.elsewhere, o, err, c.want)
		}
	}
}
