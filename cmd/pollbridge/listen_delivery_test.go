package main

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook"
	"pollbridge/webhook/signature"
)

// deliverer is the part of the bridge that sends webhooks, and may send them to all
// ports of this machine.
func deliverer(t *testing.T) *webhook.Service {
	t.Helper()
	s, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	cfg := webhook.DefaultConfig()
	cfg.AllowHTTP = true
	cfg.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.AllowPorts = nil
	for port := range 1<<16 - 1 {
		cfg.AllowPorts = append(cfg.AllowPorts, port+1)
	}
	cfg.Retries = []time.Duration{10 * time.Millisecond, 10 * time.Millisecond}
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	events, err := event.Open(t.Context(), event.Options{Store: s.Store, History: time.Hour, Log: log, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := webhook.New(t.Context(), cfg, webhook.Options{Store: s.Store, Events: events, Log: log, Registry: registry, UserAgent: "pollbridge/test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := hooks.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hooks.Close(time.Second) })
	return hooks
}

// change is what the bridge tells of a session's state.
func change(eventType string, state session.State, body string) event.Change {
	return event.Change{
		Subject: event.Subject{Session: "ses_one", Endpoint: "smartid-sign", Account: "acc_one"},
		Token:   someToken, Locale: "en", Type: eventType, State: state, At: time.Now(),
		Observation: &session.Observation{Answer: session.Answer{State: state}, At: time.Now(), Content: &session.Content{Status: 200, Body: []byte(body)}},
	}
}

func awaitPrinted(t *testing.T, l *listening, texts ...string) {
	t.Helper()
	testkit.Eventually(t, strings.Join(texts, ", ")+" are printed", func() bool {
		all := l.out.String()
		for _, text := range texts {
			if !strings.Contains(all, text) {
				return false
			}
		}
		return true
	})
}

// TestListenToTheBridge: what the bridge really sends is verified, and what it sends
// again is recognised.
func TestListenToTheBridge(t *testing.T) {
	t.Parallel()
	secret := signature.NewSecret()
	l := listen(t, "--secret", secret, "--fail-every", "2")
	hooks := deliverer(t)
	pending := change(event.TypePending, session.Pending, testkit.Waiting)
	if _, err := hooks.Attach(t.Context(), pending.Subject, webhook.AttachOptions{URL: l.url + "/hook", Secret: secret}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []event.Change{pending, change(event.TypeSucceeded, session.Succeeded, `{"status":"ok","file":{"name":"a.pdf","content":"JVBERi0="}}`)} {
		if published, err := hooks.Changed(context.Background(), c); !published || err != nil {
			t.Fatalf("Changed = %t, %v", published, err)
		}
		awaitPrinted(t, l, c.Type+" ")
	}
	awaitPrinted(t, l,
		"session.pending       verified, v1\n", "state     (new) -> pending, sequence 1\n",
		"session.succeeded     verified, v1\n", "state     pending -> succeeded, final, sequence 2\n",
		"session   ses_one, smartid-sign, en, token tok1tok2…\n", "answer    HTTP 200, without its document, ",
		"answered  500\n", "SEEN BEFORE: attempt 2, the first came at ", "since the state was observed\n")
	if text := l.out.String(); strings.Contains(text, "NOT VERIFIED") || strings.Contains(text, "Z99Z") || strings.Contains(text, "JVBER") {
		t.Errorf("printed\n%s", text)
	}
}

// TestListenWithAPublicKey: v1a stands besides v1, and either key verifies.
func TestListenWithAPublicKey(t *testing.T) {
	t.Parallel()
	hooks := deliverer(t)
	sub, err := hooks.Create(t.Context(), webhook.NewSubscription{URL: "http://127.0.0.1:9/", Signature: webhook.SignatureV1a})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{sub.Secret, sub.PublicKey} {
		l := listen(t, "--secret", key)
		to := l.url + "/"
		if _, err := hooks.Update(t.Context(), sub.ID, webhook.SubscriptionPatch{URL: &to}); err != nil {
			t.Fatal(err)
		}
		if attempt, err := hooks.Test(t.Context(), sub.ID); err != nil {
			t.Fatalf("Test = %+v, %v", attempt, err)
		}
		awaitPrinted(t, l, "webhook.test          verified, "+signatureKind(key)+"\n")
	}
}
