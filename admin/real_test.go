package admin_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/admin"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
	"pollbridge/webhook"
	"pollbridge/webhook/signature"
)

// The services that the management API is made for.
var (
	_ admin.Subscriptions = (*webhook.Service)(nil)
	_ admin.Deliveries    = (*webhook.Service)(nil)
	_ admin.Events        = (*webhook.Service)(nil)
	_ admin.Sessions      = (*watch.Watcher)(nil)
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
	cfg.Dir, cfg.Sync = t.TempDir(), store.SyncInterval
	engine, err := store.Open(t.Context(), cfg, store.Options{Log: log})
	testkit.NoError(t, err)
	t.Cleanup(func() { testkit.NoError(t, engine.Close()) })
	finals, err := engine.Finals(t.Context())
	testkit.NoError(t, err)
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	testkit.NoError(t, err)

	hooksConfig := webhook.DefaultConfig()
	hooksConfig.AllowHTTP, hooksConfig.AllowPorts = true, []int{receiver.Port()}
	hooksConfig.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	hooks, err := webhook.New(t.Context(), hooksConfig, webhook.Options{
		Store: engine, Log: log, Registry: prometheus.NewRegistry(), UserAgent: "pollbridge/test", Endpoints: []string{"smartid-sign"}, History: cfg.History,
	})
	testkit.NoError(t, err)
	t.Cleanup(hooks.Close)
	var watcher *watch.Watcher
	watchConfig := watch.DefaultConfig()
	watchConfig.Interval = 20 * time.Millisecond
	watcher, err = watch.New(watchConfig, watch.Options{
		Store: engine, Table: table, Events: hooks, Finals: finals, Retain: time.Minute, Log: log, Registry: prometheus.NewRegistry(),
		Erase: func(*session.Variant) {}, Restore: func(*session.Variant, *session.Observation) {},
		Ask: func(ctx context.Context, v *session.Variant) (*session.Observation, error) {
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
				if err := finals.Keep(ctx, v, o); err != nil {
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
		Subscriptions: hooks, Deliveries: hooks, Events: hooks, Sessions: watcher, Table: table,
		Stats: func(context.Context) (admin.Stats, error) { return admin.Stats{}, nil },
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

// TestRealServices walks through the whole API with nothing faked but the upstream.
func TestRealServices(t *testing.T) {
	m, receiver, signed := realManaged(t)
	hook := receiver.URL + "/hook"
	a := m.do("POST", "/v1/subscriptions", `{"url":"`+hook+`","account":"the-access-token","headers":{"X-Tenant":"hunter2"},"signature":"v1a"}`)
	s := decode[struct{ ID, Secret, Account string }](t, a)
	if a.Status != 201 || !strings.HasPrefix(s.Secret, "whsec_") || !strings.HasPrefix(s.Account, "acc_") {
		t.Fatalf("create = %d %s", a.Status, a.Body)
	}
	path := "/v1/subscriptions/" + s.ID
	if a := m.do("GET", path, ""); strings.Contains(a.Body, "hunter2") || !strings.Contains(a.Body, "X-Tenant") || strings.Contains(a.Body, "whsec_") || !strings.Contains(a.Body, "whpk_") {
		t.Errorf("get = %s; want the header's name, not its value, and no secret but the public key", a.Body)
	}
	if a := m.do("POST", path+"/test", ""); a.Status != 200 || !strings.Contains(a.Body, `"success":true`) {
		t.Errorf("test = %d %s", a.Status, a.Body)
	}
	awaitWebhook(t, receiver, 0, s.Secret, webhook.TypeTest)

	t.Log("a session with a webhook and a secret of its own")
	own := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a-secret-of-at-least-24-bytes"))
	registration := `{"endpoint":"smartid-sign","token":"0123456789abcdef","access_token":"the-access-token","webhook":{"url":"` + hook + `","secret":"` + own + `"}}`
	a = m.do("POST", "/v1/sessions", registration)
	registered := decode[struct {
		ID      string
		Webhook struct{ Subscription string }
	}](t, a)
	if a.Status != 201 || !strings.HasPrefix(registered.ID, "ses_") || !strings.HasPrefix(registered.Webhook.Subscription, "sub_") || strings.Contains(a.Body, own) {
		t.Fatalf("register = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", "/v1/sessions", registration); a.Status != 200 {
		t.Errorf("register again = %d %s", a.Status, a.Body)
	}
	sessionPath := "/v1/sessions/" + registered.ID
	if a := m.do("GET", sessionPath+"/response", ""); a.Status != 404 {
		t.Errorf("response before the end = %d %s", a.Status, a.Body)
	}
	testkit.Eventually(t, "the first answer of the upstream is known", func() bool {
		a := m.do("GET", "/v1/sessions?state=pending", "")
		if strings.Contains(a.Body, "0123456789abcdef") {
			t.Errorf("list = %s; want tokens shortened", a.Body)
		}
		return strings.Contains(a.Body, registered.ID)
	})
	signed.Store(true)
	after := ""
	for found := false; !found; {
		a := m.do("GET", "/v1/events?wait=20&after="+after, "")
		page := decode[eventPage](t, a)
		if a.Status != 200 || len(page.Items) == 0 {
			t.Fatalf("events = %d %s", a.Status, a.Body)
		}
		for _, e := range page.Items {
			found = found || e.Type == webhook.TypeSucceeded && e.Subject == registered.ID && e.Payload["type"] == e.Type
		}
		after = page.Next
	}
	if a := m.do("GET", sessionPath+"/response", ""); a.Status != 200 || a.Body != `{"status":"ok","file":{"name":"a.pdf","content":"JVBERi0="}}` || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("response = %d %v %s", a.Status, a.Header, a.Body)
	}
	if a := m.do("GET", "/v1/events?after=ZXh4eA", ""); a.Status != 422 {
		t.Errorf("events after nonsense = %d %s", a.Status, a.Body)
	} else {
		wantLocation(t, "events", a, "query.after")
	}

	t.Log("the delivery is listed, and can be made again")
	var d struct{ ID, State, Type string }
	testkit.Eventually(t, "the delivery is listed", func() bool {
		page := decode[struct {
			Items []struct{ ID, State, Type string }
		}](t, m.do("GET", "/v1/deliveries?state=delivered&subscription="+s.ID+"&session="+registered.ID, ""))
		for _, item := range page.Items {
			if item.Type == webhook.TypeSucceeded {
				d = item
			}
		}
		return d.ID != ""
	})
	before := receiver.Count()
	if a := m.do("GET", "/v1/deliveries/"+d.ID, ""); a.Status != 200 || !strings.Contains(a.Body, `"status":200`) {
		t.Errorf("delivery = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", "/v1/deliveries/"+d.ID+"/redeliver", ""); a.Status != 202 {
		t.Errorf("redeliver = %d %s", a.Status, a.Body)
	}
	awaitWebhook(t, receiver, before, s.Secret, webhook.TypeSucceeded)
	if a := m.do("GET", "/v1/deliveries?cursor="+base64.RawURLEncoding.EncodeToString([]byte("dnonsense")), ""); a.Status != 422 {
		t.Errorf("deliveries at nonsense = %d %s", a.Status, a.Body)
	} else {
		wantLocation(t, "deliveries", a, "query.cursor")
	}
	if a := m.do("GET", "/v1/subscriptions?cursor="+base64.RawURLEncoding.EncodeToString([]byte("snonsense")), ""); a.Status != 422 {
		t.Errorf("subscriptions at nonsense = %d %s", a.Status, a.Body)
	} else {
		wantLocation(t, "subscriptions", a, "query.cursor")
	}

	t.Log("changes, and the end")
	if a := m.do("PATCH", path, `{"url":"http://10.0.0.1/","endpoints":["nonsense"]}`); a.Status != 422 {
		t.Errorf("patch with nonsense = %d %s", a.Status, a.Body)
	}
	if a := m.do("PATCH", path, `{"enabled":false,"description":"off","signature":null,"account":null}`); a.Status != 200 || !strings.Contains(a.Body, `"enabled":false`) || strings.Contains(a.Body, "acc_") {
		t.Errorf("patch = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", path+"/recover", `{"since":"2026-11-01T00:00:00Z"}`); a.Status != 409 {
		t.Errorf("recover while disabled = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", path+"/rotate-secret", ""); a.Status != 200 || !strings.Contains(a.Body, "whsec_") || strings.Contains(a.Body, s.Secret) {
		t.Errorf("rotate = %d %s", a.Status, a.Body)
	}
	for _, gone := range []string{sessionPath, path} {
		if a := m.do("DELETE", gone, ""); a.Status != 204 {
			t.Errorf("delete = %d %s", a.Status, a.Body)
		}
		if a := m.do("GET", gone, ""); a.Status != 404 {
			t.Errorf("get of what is gone = %d %s", a.Status, a.Body)
		}
	}
}
