package delivery_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook/delivery"
)

// again opens and starts services with one subscription, one after the other on the same store.
type again struct {
	t      *testing.T
	store  *store.Store
	events *event.Log
	cfg    delivery.Config
	sub    *delivery.Subscription
}

func newAgain(t *testing.T, r *testkit.Receiver) *again {
	t.Helper()
	opened := openStore(t)
	a := &again{t: t, store: opened.Store, events: openEvents(t, opened.Store, slog.New(slog.DiscardHandler))}
	a.cfg, a.sub = sendingTo(r)
	return a
}

func (a *again) start() *delivery.Service {
	a.t.Helper()
	return start(a.t, a.cfg, delivery.Options{
		Store: a.store, Events: a.events, Subscriptions: everyone{a.sub, true}, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), History: history,
	})
}

func (a *again) record(id, eventType string, state session.State) {
	a.t.Helper()
	_, err := a.events.Record(a.t.Context(), event.Change{Subject: event.Subject{Session: id}, Type: eventType, State: state, At: time.Now()})
	testkit.NoError(a.t, err)
}

// in returns the deliveries in a state.
func (a *again) in(s *delivery.Service, state string) []delivery.Delivery {
	page, _, err := s.List(a.t.Context(), delivery.Filter{State: state}, "", 100)
	testkit.NoError(a.t, err)
	return page
}

// TestWaitedForTooLong: what waits until its event is as old as events become, because the receiver
// fails and is asked seldom, is dead then, and listed.
func TestWaitedForTooLong(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	a := newAgain(t, r)
	a.cfg.Retries = slices.Repeat([]time.Duration{100 * time.Millisecond}, 50)
	s := a.start()
	const all = 60
	for n := range all {
		a.record(fmt.Sprint("ses_", n), event.TypeSucceeded, session.Succeeded)
	}
	testkit.Eventually(t, "the receiver is left alone", func() bool { st, err := s.Stats(t.Context()); return err == nil && st.OpenBreakers == 1 })
	a.store.SetClock(history)
	testkit.Eventually(t, "all are dead", func() bool { return len(a.in(s, delivery.Dead)) == all })
	if n := r.Count(); n >= all {
		t.Errorf("%d attempts were made", n)
	}
	// What is listed may not be taken off the queue yet.
	testkit.Eventually(t, "they are counted, and nothing else", func() bool {
		st, err := s.Stats(t.Context())
		return err == nil && st.Dead == all && st.BacklogNow+st.BacklogLater == 0
	})
}

// TestToldToWaitForTooLong: a receiver that wants the next attempt when the event is no longer stored
// gets none.
func TestToldToWaitForTooLong(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(503)
	})
	a := newAgain(t, r)
	s := a.start()
	a.record("ses_a", event.TypeSucceeded, session.Succeeded)
	testkit.Eventually(t, "it is dead", func() bool {
		dead := a.in(s, delivery.Dead)
		return len(dead) == 1 && len(dead[0].Attempts) == 1
	})
}

// TestOvertakenBeforeACrash: an event whose first attempt was under way is not told after the end
// of its session.
func TestOvertakenBeforeACrash(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Type == event.TypePending {
			<-hangs
		}
	})
	t.Cleanup(func() { close(hangs) })
	a := newAgain(t, r)
	s := a.start()
	a.record("ses_a", event.TypePending, session.Pending)
	r.Wait(t, 1)
	a.record("ses_a", event.TypeSucceeded, session.Succeeded)
	testkit.Eventually(t, "the end is delivered", func() bool { return len(a.in(s, delivery.Delivered)) == 1 })
	s.Close(someGrace) // which cuts the attempt short

	a.store.SetClock(time.Second) // nothing is as fast as that
	s = a.start()
	testkit.Eventually(t, "the pending event is over", func() bool { return len(a.in(s, delivery.Superseded)) == 1 })
	if n := r.Count(); n != 2 {
		t.Errorf("%d webhooks came, want 2", n)
	}
}
