package webhook_test

import (
	"log/slog"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// TestOutcomes: how attempts ended and what waits is told of each subscription for itself, after a
// restart and by other processes, too.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	good, bad := testkit.NewReceiver(t, nil), testkit.NewReceiver(t, testkit.AnswerStatus(503))
	b := newBridge(t, func(b *bridge) { b.cfg.Retries = []time.Duration{20 * time.Millisecond, time.Hour} }, good, bad)
	works := b.subscribe(webhook.NewSubscription{URL: good.URL})
	fails := b.subscribe(webhook.NewSubscription{URL: bad.URL, Events: []string{event.TypeSucceeded}})
	quiet := b.subscribe(webhook.NewSubscription{URL: good.URL, Endpoints: []string{"mobile-sign"}})
	bound, err := b.Attach(t.Context(), change("ses_1", session.Pending).Subject, webhook.AttachOptions{URL: good.URL + "/its"})
	testkit.NoError(t, err)
	ids := []string{works.ID, fails.ID, quiet.ID, bound.ID, "sub_nothing"}
	of := func(s *webhook.Service) map[string]delivery.Outcomes {
		found, err := s.Outcomes(t.Context(), ids)
		testkit.NoError(t, err)
		if len(found) != 3 || found[quiet.ID] != (delivery.Outcomes{}) {
			t.Fatalf("Outcomes = %+v; want those of three, and nothing of the one that nothing goes to", found)
		}
		return found
	}
	b.changed(change("ses_1", session.Pending))
	b.changed(change("ses_1", session.Succeeded))
	testkit.Eventually(t, "one waits for its retry", func() bool {
		o := of(b.Service)
		return o[fails.ID].Attempts == 2 && o[fails.ID].Waiting == 1 && o[works.ID].Waiting == 0 && o[works.ID].Attempts == 2
	})
	want := func(what string, s *webhook.Service) {
		t.Helper()
		found := of(s)
		if o := found[works.ID]; o.Attempts != 2 || o.Succeeded != 2 || o.LastError != "" || o.Waiting != 0 {
			t.Errorf("%s: who works has %+v", what, o)
		}
		if o := found[fails.ID]; o.Attempts != 2 || o.Succeeded != 0 || o.LastError != "answered 503" || o.LastErrorAt.IsZero() || o.Waiting != 1 {
			t.Errorf("%s: who fails has %+v", what, o)
		}
	}
	want("at once", b.Service)
	b.reopen()
	want("after a restart", b.Service)
	want("another process", b.sharing(slog.New(slog.DiscardHandler)))
}
