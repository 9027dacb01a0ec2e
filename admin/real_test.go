package admin_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/admin"
	"pollbridge/admin/api"
	"pollbridge/event"
	"pollbridge/finals"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/signature"
)

// The services that the management API is made for.
var (
	_ admin.Subscriptions = (*webhook.Service)(nil)
	_ admin.Deliveries    = (*webhook.Service)(nil)
	_ admin.Events        = (*webhook.Service)(nil)
	_ admin.Sessions      = (*watch.Watcher)(nil)
	_ admin.Answers       = (*finals.Finals)(nil)
)

// realManaged is the management API over a real store, webhooks and watcher, with an
// upstream that answers finally as soon as signed is set.
func realManaged(t *testing.T) (m *managed, receiver *testkit.Receiver, signed *atomic.Bool) {
	t.Helper()
	text := &testkit.LogBuffer{}
	t.Cleanup(func() {
		for _, secret := range []string{"the-access-token", "hunter2", "whsec_", "0123456789abcdef", key} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("the log holds %s: %s", secret, text)
			}
		}
	})
	receiver, signed = testkit.NewReceiver(t, nil), &atomic.Bool{}
	log := text.Logger(slog.LevelDebug)
	cfg := store.DefaultConfig()
	opened, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), cfg, log)
	testkit.NoError(t, err)
	t.Cleanup(func() { testkit.NoError(t, opened.Close()) })
	answers, err := finals.Open(t.Context(), opened.Store)
	testkit.NoError(t, err)
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	testkit.NoError(t, err)

	hooksConfig := webhook.DefaultConfig()
	hooksConfig.AllowHTTP, hooksConfig.AllowPorts = true, []int{receiver.Port()}
	hooksConfig.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	events, err := event.Open(t.Context(), event.Options{Store: opened.Store, History: cfg.History, Log: log, Registry: prometheus.NewRegistry()})
	testkit.NoError(t, err)
	hooks, err := webhook.New(t.Context(), hooksConfig, webhook.Options{
		Store: opened.Store, Events: events, Log: log, Registry: prometheus.NewRegistry(), UserAgent: "pollbridge/test", Endpoints: []string{"smartid-sign"}, History: cfg.History,
	})
	testkit.NoError(t, err)
	t.Cleanup(func() { hooks.Close(time.Second) })
	var watcher *watch.Watcher
	watchConfig := watch.DefaultConfig()
	watchConfig.Interval = 20 * time.Millisecond
	watcher, err = watch.New(watchConfig, watch.Options{
		Store: opened.Store, Table: table, Events: hooks, Finals: answers, Retain: time.Minute, Log: log, Registry: prometheus.NewRegistry(),
		Erase: func(context.Context, *session.Variant) error { return nil },
		Ask: func(ctx context.Context, v *session.Variant, _ time.Time) (*session.Observation, error) {
			body := `{"status":"waiting"}`
			if signed.Load() {
				body = `{"status":"ok","file":{"name":"a.pdf","content":"JVBERi0="}}`
			}
			answer, err := v.Endpoint.Answer.Read(200, []byte(body))
			if err != nil {
				return nil, err
			}
			o := &session.Observation{At: time.Now(), Answer: answer, Content: &session.Content{
				Status: 200, Body: []byte(body), Header: []session.Field{{Name: []byte("Content-Type"), Value: []byte("application/json")}},
			}}
			if o.State.Final() {
				if err := answers.Keep(ctx, v, o); err != nil {
					return nil, err
				}
			}
			watcher.Observe(v, o)
			return o, nil
		},
	})
	testkit.NoError(t, err)
	testkit.NoError(t, hooks.Start())
	testkit.NoError(t, watcher.Start())
	t.Cleanup(watcher.Close)
	services := &admin.Services{
		Subscriptions: hooks, Deliveries: hooks, Events: hooks, Sessions: watcher, Answers: answers, Table: table,
		Stats:    func(context.Context) (api.Stats, error) { return api.Stats{}, nil },
		Replicas: func() []api.Replica { return nil }, Schedule: func() api.Schedule { return api.Schedule{} },
	}
	return manageServices(t, nil, services, 0), receiver, signed
}

// awaitWebhook waits for one of a kind behind those that came before, and checks all
// that came meanwhile.
func awaitWebhook(t *testing.T, receiver *testkit.Receiver, before int, secret, kind string) {
	t.Helper()
	checked := before
	testkit.Eventually(t, kind+" arrives", func() bool {
		for _, got := range receiver.Got()[checked:] {
			checked++
			if err := signature.Verify(got.Header, got.Body, time.Now(), secret); err != nil {
				t.Errorf("a delivery is not signed with the secret that was shown: %v", err)
			}
			if strings.Contains(string(got.Body), "the-access-token") {
				t.Errorf("a delivery holds the credential: %s", got.Body)
			}
			if got.Type == kind {
				return true
			}
		}
		return false
	})
}

// TestRealServices walks through the whole API, by its client, with nothing faked but the
// upstream.
func TestRealServices(t *testing.T) {
	m, receiver, signed := realManaged(t)
	ctx := t.Context()
	hook := receiver.URL + "/hook"
	sub, err := m.api.CreateSubscription(ctx, api.NewSubscription{
		URL: hook, Account: "the-access-token", Headers: map[string]string{"X-Tenant": "hunter2"}, Signature: webhook.SignatureV1a,
	})
	testkit.NoError(t, err)
	if !strings.HasPrefix(sub.Secret, "whsec_") || !strings.HasPrefix(sub.Account, "acc_") {
		t.Fatalf("created %+v", sub)
	}
	if a := m.do("GET", "/v1/subscriptions/"+sub.ID, ""); strings.Contains(a.Body, "hunter2") || !strings.Contains(a.Body, "X-Tenant") || strings.Contains(a.Body, "whsec_") || !strings.Contains(a.Body, "whpk_") {
		t.Errorf("get = %s; want the header's name, not its value, and no secret but the public key", a.Body)
	}
	if attempt, err := m.api.TestSubscription(ctx, sub.ID); err != nil || !attempt.Success {
		t.Errorf("test = %+v, %v", attempt, err)
	}
	awaitWebhook(t, receiver, 0, sub.Secret, event.TypeTest)

	t.Log("a session with a webhook and a secret of its own")
	own := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a-secret-of-at-least-24-bytes"))
	registration := api.NewSession{
		Endpoint: "smartid-sign", Token: "0123456789abcdef", AccessToken: "the-access-token", Webhook: &api.SessionWebhook{URL: hook, Secret: own},
	}
	registered, known, err := m.api.RegisterSession(ctx, registration)
	testkit.NoError(t, err)
	if known || !strings.HasPrefix(registered.ID, "ses_") || !strings.HasPrefix(registered.Webhook.Subscription, "sub_") || registered.Webhook.Secret != "" {
		t.Fatalf("registered %+v, known %v", registered, known)
	}
	if again, known, err := m.api.RegisterSession(ctx, registration); err != nil || !known || again.ID != registered.ID {
		t.Errorf("registered again %+v, known %v, %v", again, known, err)
	}
	_, err = m.api.Response(ctx, registered.ID)
	wantRefused(t, "response before the end", err, 404, "")
	if err != nil && !strings.Contains(err.Error(), ": there is no final answer yet") {
		t.Errorf("response before the end: %v", err)
	}
	testkit.Eventually(t, "the first answer of the upstream is known", func() bool {
		pending, err := m.api.Sessions(ctx, "pending", api.Page{})
		testkit.NoError(t, err)
		return slices.ContainsFunc(pending.Items, func(s api.Session) bool {
			if s.Token == "0123456789abcdef" {
				t.Errorf("list = %+v; want tokens shortened", s)
			}
			return s.ID == registered.ID
		})
	})
	t.Log("a position in another store")
	elsewhere := base64.RawURLEncoding.EncodeToString([]byte("eaaaaaa-1-1"))
	_, err = m.api.Events(ctx, api.EventQuery{After: elsewhere})
	wantRefused(t, "events after it", err, 410, "")
	if missed, ok := errors.AsType[*api.Problem](err); !ok || missed.OldestCursor == "" {
		t.Errorf("events after it: %v; want the oldest cursor", err)
	} else if _, err := m.api.Events(ctx, api.EventQuery{After: missed.OldestCursor}); err != nil {
		t.Errorf("events after the oldest cursor: %v", err)
	}
	_, err = m.api.FollowEvents(ctx, elsewhere)
	wantRefused(t, "a stream that follows it", err, 410, "")

	stream, err := m.api.FollowEvents(ctx, "")
	testkit.NoError(t, err)
	defer stream.Close()
	signed.Store(true)
	over := func(e api.Event) bool { return e.Type == event.TypeSucceeded && e.Subject == registered.ID }
	query := api.EventQuery{Wait: 20 * time.Second}
	for found := false; !found; {
		page, err := m.api.Events(ctx, query)
		testkit.NoError(t, err)
		if len(page.Items) == 0 {
			t.Fatal("no event came")
		}
		found, query.After = slices.ContainsFunc(page.Items, over), page.Next
	}
	for e, err := range stream.All() {
		testkit.NoError(t, err)
		if stream.LastID() != e.Cursor {
			t.Errorf("at %s the stream would go on after %s", e.Cursor, stream.LastID())
		}
		if over(e) {
			break
		}
	}
	happened, err := m.api.SessionEvents(ctx, registered.ID)
	testkit.NoError(t, err)
	if all := happened.Items; len(all) != 2 || all[0].Type != event.TypePending || all[1].Type != event.TypeSucceeded || all[0].Subject != registered.ID {
		t.Errorf("the events of the session are %+v; want the first and the last", all)
	}
	response, err := m.api.Response(ctx, registered.ID)
	testkit.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	testkit.NoError(t, err)
	response.Body.Close()
	if want := `{"status":"ok","file":{"name":"a.pdf","content":"JVBERi0="}}`; string(body) != want || response.Length != int64(len(want)) ||
		response.Status != 200 || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("response = %+v %s", response, body)
	}
	_, err = m.api.Events(ctx, api.EventQuery{After: "ZXh4eA"})
	wantRefused(t, "events after nonsense", err, 422, "query.after")

	t.Log("the delivery is listed, and can be made again")
	var delivered api.Delivery
	testkit.Eventually(t, "both subscriptions have its end, and nothing is under way", func() bool {
		page, err := m.api.Deliveries(ctx, api.DeliveryFilter{Session: registered.ID}, api.Page{})
		testkit.NoError(t, err)
		ends := 0
		for _, d := range page.Items {
			if d.State == delivery.Waiting {
				return false
			}
			if d.Type == event.TypeSucceeded && d.State == delivery.Delivered {
				ends++
				if d.Subscription == sub.ID {
					delivered = d
				}
			}
		}
		return ends == 2
	})
	before := receiver.Count()
	if d, err := m.api.Delivery(ctx, delivered.ID); err != nil || len(d.Attempts) != 1 || d.Attempts[0].Status != 200 {
		t.Errorf("delivery = %+v, %v", d, err)
	}
	_, err = m.api.Redeliver(ctx, delivered.ID)
	testkit.NoError(t, err)
	awaitWebhook(t, receiver, before, sub.Secret, event.TypeSucceeded)
	_, err = m.api.Deliveries(ctx, api.DeliveryFilter{}, api.Page{Cursor: base64.RawURLEncoding.EncodeToString([]byte("dnonsense"))})
	wantRefused(t, "deliveries at nonsense", err, 422, "query.cursor")
	_, err = m.api.Subscriptions(ctx, api.Page{Cursor: base64.RawURLEncoding.EncodeToString([]byte("snonsense"))})
	wantRefused(t, "subscriptions at nonsense", err, 422, "query.cursor")

	t.Log("changes, and the end")
	_, err = m.api.UpdateSubscription(ctx, sub.ID, api.SubscriptionPatch{URL: new("http://10.0.0.1/"), Endpoints: api.Set([]string{"nonsense"})})
	wantRefused(t, "patch with nonsense", err, 422, "body.url")
	changed, err := m.api.UpdateSubscription(ctx, sub.ID, api.SubscriptionPatch{
		Enabled: new(false), Description: api.Set("off"), Signature: api.Null[string](), Account: api.Null[string](),
	})
	if err != nil || changed.Enabled || changed.Description != "off" || changed.Signature != webhook.SignatureV1 || changed.Account != "" || changed.URL != hook {
		t.Errorf("patched to %+v, %v", changed, err)
	}
	_, err = m.api.RecoverSubscription(ctx, sub.ID, api.Recover{Since: time.Now().Add(-time.Hour)})
	wantRefused(t, "recover while disabled", err, 409, "")
	if rotated, err := m.api.RotateSecret(ctx, sub.ID); err != nil || !strings.HasPrefix(rotated.Secret, "whsec_") || rotated.Secret == sub.Secret {
		t.Errorf("rotated to %+v, %v", rotated, err)
	}
	testkit.NoError(t, m.api.DeleteSession(ctx, registered.ID))
	_, err = m.api.Session(ctx, registered.ID)
	wantRefused(t, "a session that is gone", err, 404, "")
	testkit.NoError(t, m.api.DeleteSubscription(ctx, sub.ID))
	_, err = m.api.Subscription(ctx, sub.ID)
	wantRefused(t, "a subscription that is gone", err, 404, "")
}

// wantRefused checks that a call was refused with a status, and because of a field where
// one is given.
func wantRefused(t *testing.T, what string, err error, status int, location string) {
	t.Helper()
	p, ok := errors.AsType[*api.Problem](err)
	if !ok || p.Status != status || p.Title != http.StatusText(status) ||
		location != "" && !slices.ContainsFunc(p.Errors, func(f api.ProblemField) bool { return f.Location == location && f.Message != "" }) {
		t.Errorf("%s: %v; want %d %s", what, err, status, location)
	}
}
