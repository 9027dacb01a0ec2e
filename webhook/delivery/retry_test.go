package delivery_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook/delivery"
)

// one is a single subscription, and held is called before anybody is told of it.
type one struct {
	delivery.Subscriptions
	sub  *delivery.Subscription
	held func()
}

func (o one) Subscription(string) *delivery.Subscription            { o.held(); return o.sub }
func (o one) Matching(*event.Event) []*delivery.Subscription        { return []*delivery.Subscription{o.sub} }
func (o one) FansOut(context.Context, *event.Event) error           { return nil }
func (o one) Delivered(_ context.Context, _ string, _ *event.Event) {}
func (o one) Failed(context.Context, string)                        {}

// TestARetryThatComesBeforeTheAttemptIsOver: the item of the next attempt is handed out while
// the one before is still being put away. It is made all the same.
func TestARetryThatComesBeforeTheAttemptIsOver(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	opened := openStore(t)
	events := openEvents(t, opened.Store, log)
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
		if n == 1 {
			w.WriteHeader(500)
		}
	})
	cfg, sub := sendingTo(r)
	cfg.Retries = []time.Duration{time.Nanosecond}
	var s *delivery.Service
	held := func() {
		if st, err := s.Stats(t.Context()); r.Count() != 1 || err != nil || st.BacklogLater == 0 {
			return
		}
		testkit.Eventually(t, "the item that was added is here", func() bool { return s.Out() > 0 })
	}
	var err error
	s, err = delivery.New(t.Context(), cfg, delivery.Options{
		Store: opened.Store, Events: events, Subscriptions: one{sub: sub, held: held}, Log: log, Registry: prometheus.NewRegistry(), History: time.Hour,
	})
	testkit.NoError(t, err)
	t.Cleanup(func() { s.Close(someGrace) })
	testkit.NoError(t, s.Start())
	c := event.Change{Subject: event.Subject{Session: "ses_a"}, Type: event.TypeSucceeded, State: session.Succeeded, At: time.Now()}
	_, err = events.Record(t.Context(), c)
	testkit.NoError(t, err)
	r.Wait(t, 2)
	testkit.Eventually(t, "it is delivered", func() bool {
		page, _, err := s.List(t.Context(), delivery.Filter{State: delivery.Delivered}, "", 1)
		return err == nil && len(page) == 1
	})
}
