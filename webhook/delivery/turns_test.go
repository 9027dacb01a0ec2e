package delivery_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook/delivery"
)

// TestTurns: where very many workers ask the store, a first attempt is made and its success recorded
// without waiting for them, and what has failed is recorded when they have asked.
func TestTurns(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	opened := openStore(t)
	events := openEvents(t, opened.Store, log)
	r := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if strings.HasPrefix(fmt.Sprint(got.Data["session"]), "ses_fails") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	cfg, sub := sendingTo(r)
	cfg.Retries = nil
	s := start(t, cfg, delivery.Options{
		Store: opened.Store, Events: events, Subscriptions: one{sub: sub, held: func() {}}, Log: log, Registry: prometheus.NewRegistry(), History: time.Hour,
	})
	record := func(id string) {
		_, err := events.Record(t.Context(), event.Change{Subject: event.Subject{Session: id}, Type: event.TypeSucceeded, State: session.Succeeded, At: time.Now()})
		testkit.NoError(t, err)
	}
	listed := func(state string) bool {
		page, _, err := s.List(t.Context(), delivery.Filter{State: state}, "", 1)
		return err == nil && len(page) == 1
	}
	giveBack, err := s.TakeTurns(t.Context())
	testkit.NoError(t, err)
	// Again now and then, as one whose attempt comes late on a busy machine waits for its turn.
	until := func(what, id string, holds func() bool) {
		n, last := 0, time.Time{}
		testkit.Eventually(t, what, func() bool {
			if time.Since(last) > 5*time.Second {
				record(fmt.Sprint(id, n))
				n, last = n+1, time.Now()
			}
			return holds()
		})
	}
	until("a first attempt is made that fails", "ses_fails", func() bool { return len(r.Got()) > 0 })
	until("what succeeds is recorded", "ses_ok", func() bool { return listed(delivery.Delivered) })
	if listed(delivery.Dead) {
		t.Error("what has failed is recorded out of turn")
	}
	giveBack()
	testkit.Eventually(t, "what has failed is recorded", func() bool { return listed(delivery.Dead) })
}
