package door_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/cache"
	"pollbridge/fleet"
	"pollbridge/fleet/door"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// erasing is a fleet in which nothing is asked, and others are told of erasures.
type erasing struct {
	door.Fleet
	hears     map[string]fleet.Handler
	announced map[string]func(fleet.Announcement)
	tell      func(kind string, message []byte) // everybody
	announce  func(kind, key string, message []byte)
}

func (e *erasing) Answer(string, fleet.Handler)                   {}
func (e *erasing) Hear(kind string, h fleet.Handler)              { e.hears[kind] = h }
func (e *erasing) Withdraw(context.Context, string, string) error { return nil }

func (e *erasing) Announced(kind string, h func(fleet.Announcement)) { e.announced[kind] = h }

func (e *erasing) TellEverybody(_ context.Context, kind string, message []byte) error {
	e.tell(kind, message)
	return nil
}

func (e *erasing) Announce(_ context.Context, kind, key string, message []byte, _ time.Duration) error {
	e.announce(kind, key, message)
	return nil
}

// remembering is a cache that tells what it has to forget.
type remembering struct {
	door.Statuses
	key    string
	erased chan string // how
}

func (r *remembering) Erase(*session.Variant) { r.erased <- "told" }

func (r *remembering) EraseThose(erased func(key string) bool) {
	if erased(r.key) {
		r.erased <- "announced"
	}
}

// TestEachErasureIsHeardOf, however shortly after another one: by whom it was told, or when it is
// announced to who was not.
func TestEachErasureIsHeardOf(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	v := variantOf(t, table, "t")
	id := func(v *session.Variant) string { return "ses_" + v.Token }
	open := func() (*door.Door, *erasing, *remembering) {
		f := &erasing{hears: map[string]fleet.Handler{}, announced: map[string]func(fleet.Announcement){}}
		s := &remembering{key: v.Key(), erased: make(chan string, 10)}
		d := door.New(door.Options{Fleet: f, Subscriptions: &subscribers{made: &atomic.Bool{}}, Table: table, ID: id, Log: slog.New(slog.DiscardHandler), Remembered: time.Hour})
		t.Cleanup(d.Close)
		d.Open(s)
		return d, f, s
	}
	one, here, _ := open()
	other, there, s := open()
	reached := true  // the other one is, when it is told something
	earlier := false // the first one says what an earlier version did
	here.tell = func(kind string, message []byte) {
		if reached && !(earlier && kind != "erase") {
			there.hears[kind](t.Context(), message)
		}
	}
	here.announce = func(kind, key string, message []byte) {
		if earlier {
			message = nil
		}
		there.announced[kind](fleet.Announcement{Key: key, Message: message, At: time.Now(), Left: time.Hour})
	}
	erase := func(name string, want string) {
		t.Helper()
		testkit.NoError(t, one.Erase(t.Context(), v))
		if got := testkit.Receive(t, name, s.erased); got != want {
			t.Errorf("%s: it forgets what it was %s of; want %s", name, got, want)
		}
	}
	erase("the first one", "told")
	erase("again", "told")
	reached = false
	erase("while it cannot be reached", "announced")
	erase("again while it cannot be reached", "announced")
	reached = true
	erase("when it can again", "told")
	earlier = true
	erase("by an earlier version", "told")
	other.Close()
	if n := len(s.erased); n != 0 {
		t.Errorf("it forgets %d times more", n)
	}
}

var _ door.Statuses = (*cache.Statuses)(nil)
