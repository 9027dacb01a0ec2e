package main

import (
	"net/http"
	"sync"
	"testing"

	"pollbridge/internal/testkit"
)

// webhookReceiver is a receiver that checks signatures, and keeps what it has answered
// with 2xx.
type webhookReceiver struct {
	*testkit.Receiver

	mu       sync.Mutex
	secret   string            // guarded by mu, as below
	accepted []testkit.Webhook // verified, and answered 2xx
}

// newWebhookReceiver starts a receiver that fails with the attempts that fails names;
// nil: with none.
func newWebhookReceiver(t testing.TB, fails func(attempt int) bool) *webhookReceiver {
	r := &webhookReceiver{}
	r.Receiver = testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, n int) {
		if fails != nil && fails(n) {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := got.Verify(r.secret); err != nil {
			t.Errorf("webhook %s: %v", got.ID(), err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if got.Type == "" {
			t.Errorf("webhook %s is no event: %s", got.ID(), got.Body)
		}
		r.accepted = append(r.accepted, got)
		w.WriteHeader(http.StatusNoContent)
	})
	return r
}

func (r *webhookReceiver) setSecret(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

// finals returns the ids under which the final event of each token came.
func (r *webhookReceiver) finals() map[string]map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := map[string]map[string]bool{}
	for _, got := range r.accepted {
		if got.Data["final"] != true {
			continue
		}
		token, _ := got.Data["token"].(string)
		if ids[token] == nil {
			ids[token] = map[string]bool{}
		}
		ids[token][got.ID()] = true
	}
	return ids
}
