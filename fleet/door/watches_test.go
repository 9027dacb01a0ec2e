package door_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/finals"
	"pollbridge/fleet"
	"pollbridge/fleet/door"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
)

// moving is a fleet in which a session is looked after here when something begins, and not any more
// when that is done; another replica answers then.
type moving struct {
	door.Fleet
	handlers map[string]fleet.Handler
	here     bool     // all is looked after here, and stays
	begins   bool     // it is when something begins
	takes    bool     // all is from the next question on, which the other one does, too
	asked    []string // of the other one
	says     [][]byte // which that answers in turn
}

func (m *moving) Holds(string) bool {
	held := m.here || m.begins
	m.begins = false
	return held
}

func (m *moving) Owns(string) bool { return m.here }

func (m *moving) Answer(kind string, h fleet.Handler) { m.handlers[kind] = h }

func (m *moving) Ask(_ context.Context, _, kind string, _ []byte) ([]byte, error) {
	m.asked = append(m.asked, kind)
	said := m.says[0]
	m.says = m.says[1:]
	if m.takes {
		m.here = true
		return nil, fleet.ErrTaken
	}
	return said, nil
}

// wanted are events that somebody wants, who has to be heard of.
type wanted struct{ by *subscribers }

func (w wanted) Wanted(event.Subject) bool                         { return w.by.known.Load() }
func (wanted) Changed(context.Context, event.Change) (bool, error) { return true, nil }
func (wanted) Knows(context.Context, string) (bool, error)         { return false, nil }
func (wanted) EraseSession(context.Context, string) error          { return nil }

// watchesOf returns the watches of a replica with a store of its own, in a fleet in which all stays
// where it is.
func watchesOf(t *testing.T, table *session.Table, by *subscribers) (*door.Door, *door.Watches, *moving, func(*session.Variant) string) {
	log := slog.New(slog.DiscardHandler)
	s, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), log)
	testkit.NoError(t, err)
	t.Cleanup(func() { testkit.NoError(t, s.Close()) })
	answers, err := finals.Open(t.Context(), s.Store)
	testkit.NoError(t, err)
	cfg := watch.DefaultConfig()
	cfg.Interval = time.Hour
	w, err := watch.New(cfg, watch.Options{
		Store: s.Store, Table: table, Events: wanted{by}, Finals: answers, Retain: time.Minute, Log: log, Registry: prometheus.NewRegistry(),
		Ask: func(context.Context, *session.Variant, time.Time) (*session.Observation, error) {
			return said(session.Pending, "waiting"), nil
		},
		Erase: func(context.Context, *session.Variant) error { return nil },
	})
	testkit.NoError(t, err)
	t.Cleanup(w.Close)
	testkit.NoError(t, w.Start())
	sessionID := func(v *session.Variant) string { return session.ID(s, v) }
	f := &moving{handlers: map[string]fleet.Handler{}, here: true}
	d := door.New(door.Options{Fleet: f, Subscriptions: by, Remembered: time.Hour, Table: table, ID: sessionID, Log: log})
	t.Cleanup(d.Close)
	return d, d.Watches(w), f, sessionID
}

// TestWhatMovesIsDoneAgain by whoever looks after the session then, though it was done before.
func TestWhatMovesIsDoneAgain(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	v := variantOf(t, table, "t")
	known := &subscribers{made: &atomic.Bool{}}
	known.hear()
	_, one, here, id := watchesOf(t, table, known)
	_, _, there, _ := watchesOf(t, table, known)
	other := func(kind string, question []byte) []byte { return there.handlers[kind](t.Context(), question) }
	wantAsked := func(want ...string) {
		t.Helper()
		if !slices.Equal(here.asked, want) || len(here.says) != 0 {
			t.Errorf("the other one was asked %q, want %q; %d answers are left", here.asked, want, len(here.says))
		}
		here.asked = nil
	}
	question := v.AppendDurable(nil)
	watched := other("watch", question)
	there.here = false
	moved := other("watch", question)
	movedOnStart := other("started", question)
	movedOnDelete := other("delete", []byte(id(v)))
	there.here = true
	polled := other("polling", []byte(id(v)))
	started, gone := other("started", question), other("delete", []byte(id(v)))

	here.here, here.begins, here.says = false, true, [][]byte{watched}
	if s, err := one.Watch(t.Context(), v); err != nil || s.ID == id(v) { // the other's store has another key
		t.Errorf("Watch = %+v, %v; want what the other one says", s, err)
	}
	wantAsked("watch")
	here.says = [][]byte{moved, watched}
	if _, err := one.Watch(t.Context(), v); err != nil {
		t.Errorf("Watch = %v", err)
	}
	wantAsked("watch", "watch")
	here.says = [][]byte{polled}
	if _, err := one.Polling(t.Context(), id(v)); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Polling = %v; want what the other one says: it knows no such session", err)
	}
	wantAsked("polling")
	here.begins, here.says = true, [][]byte{movedOnStart, started}
	testkit.NoError(t, one.Started(t.Context(), v))
	wantAsked("started", "started")

	here.begins, here.says = true, [][]byte{gone}
	testkit.NoError(t, one.Delete(t.Context(), id(v)))
	wantAsked("delete")
	here.says = [][]byte{movedOnDelete, gone}
	testkit.NoError(t, one.Delete(t.Context(), id(v)))
	wantAsked("delete", "delete")
	here.says = [][]byte{gone}
	if err := one.Delete(t.Context(), id(v)); err == nil {
		t.Error("Delete of what is not there = nil")
	}
	here.takes, here.says = true, [][]byte{gone}
	if err := one.Delete(t.Context(), "ses_"); err != nil {
		t.Errorf("Delete of what the one before may have deleted = %v", err)
	}
}

// TestStartIsWatchedForAnybody: for who has subscribed at another replica, too, of which this one has not
// heard yet.
func TestStartIsWatchedForAnybody(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	v := variantOf(t, table, "t")
	somebody := &subscribers{made: &atomic.Bool{}}
	d, watches, f, id := watchesOf(t, table, somebody)
	testkit.NoError(t, watches.Started(t.Context(), v))
	if _, err := watches.Get(t.Context(), id(v)); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("Get of what nobody wants to know of = %v", err)
	}
	somebody.made.Store(true)
	testkit.NoError(t, watches.Started(t.Context(), v))
	if s, err := watches.Get(t.Context(), id(v)); err != nil || s.Status() != "pending" {
		t.Errorf("Get = %+v, %v", s, err)
	}

	late := variantOf(t, table, "late")
	somebody.known.Store(false)
	somebody.slow.Store(true)
	testkit.NoError(t, watches.Started(t.Context(), late))
	somebody.slow.Store(false)
	f.takes, f.says = true, [][]byte{nil} // it is this replica's own
	d.TellRest(testkit.Within(t))
	if s, err := watches.Get(t.Context(), id(late)); err != nil || s.Status() != "pending" {
		t.Errorf("Get of what was heard of late = %+v, %v", s, err)
	}
}
