package admin_test

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/admin"
	"pollbridge/internal/logtest"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
	"pollbridge/webhook"
)

// The services that the management API is made for.
var (
	_ admin.Subscriptions = (*webhook.Service)(nil)
	_ admin.Deliveries    = (*webhook.Service)(nil)
	_ admin.Events        = (*webhook.Service)(nil)
	_ admin.Sessions      = (*watch.Watcher)(nil)
)

// delivered is what a receiver got.
type delivered struct {
	header http.Header
	body   string
}

// realManaged is the management API over a real store, webhooks and watcher, with an
// upstream that answers finally as soon as signed is set.
func realManaged(t *testing.T) (m *managed, receiver string, got chan delivered, signed *atomic.Bool) {
	t.Helper()
	text := &logtest.Buffer{}
	t.Cleanup(func() {
		for _, secret := range []string{"the-access-token", "hunter2", "whsec_", "0123456789abcdef", key} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("the log holds %s: %s", secret, text)
			}
		}
	})
	got, signed = make(chan delivered, 100), &atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivered{r.Header, string(body)}
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	check(t, err)
	port, err := strconv.Atoi(address.Port())
	check(t, err)

	log := slog.New(slog.NewTextHandler(text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := store.DefaultConfig()
	cfg.Dir, cfg.Sync = t.TempDir(), store.SyncInterval
	engine, err := store.Open(t.Context(), cfg, store.Options{Log: log})
	check(t, err)
	t.Cleanup(func() { check(t, engine.Close()) })
	finals, err := engine.Finals(t.Context())
	check(t, err)
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	check(t, err)

	hooksConfig := webhook.DefaultConfig()
	hooksConfig.AllowHTTP, hooksConfig.AllowPorts = true, []int{port}
	hooksConfig.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	hooks, err := webhook.New(t.Context(), hooksConfig, webhook.Options{
		Store: engine, Log: log, Registry: prometheus.NewRegistry(), UserAgent: "pollbridge/test", Endpoints: []string{"smartid-sign"}, History: cfg.History,
	})
	check(t, err)
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
	check(t, err)
	check(t, hooks.Start())
	check(t, watcher.Start())
	t.Cleanup(watcher.Close)
	services := &admin.Services{
		Subscriptions: hooks, Deliveries: hooks, Events: hooks, Sessions: watcher, Table: table,
		Stats: func(context.Context) (admin.Stats, error) { return admin.Stats{}, nil },
	}
	return manageServices(t, nil, services, 0), "http://" + net.JoinHostPort("127.0.0.1", address.Port()) + "/hook", got, signed
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, got chan delivered, secret, kind string) {
	t.Helper()
	for {
		select {
		case d := <-got:
			if err := webhook.Verify(d.header, []byte(d.body), time.Now(), secret); err != nil {
				t.Errorf("a delivery is not signed with the secret that was shown: %v", err)
			}
			if strings.Contains(d.body, "the-access-token") {
				t.Errorf("a delivery holds the credential: %s", d.body)
			}
			if strings.Contains(d.body, `"`+kind+`"`) {
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s did not arrive within 20 s", kind)
		}
	}
}

// TestRealServices walks through the whole API with nothing faked but the upstream.
func TestRealServices(t *testing.T) {
	m, receiver, got, signed := realManaged(t)
	a := m.do("POST", "/v1/subscriptions", `{"url":"`+receiver+`","account":"the-access-token","headers":{"X-Tenant":"hunter2"},"signature":"v1a"}`)
	s := decode[struct{ ID, Secret, Account string }](t, a)
	if a.status != 201 || !strings.HasPrefix(s.Secret, "whsec_") || !strings.HasPrefix(s.Account, "acc_") {
		t.Fatalf("create = %d %s", a.status, a.body)
	}
	path := "/v1/subscriptions/" + s.ID
	if a := m.do("GET", path, ""); strings.Contains(a.body, "hunter2") || !strings.Contains(a.body, "X-Tenant") || strings.Contains(a.body, "whsec_") || !strings.Contains(a.body, "whpk_") {
		t.Errorf("get = %s; want the header's name, not its value, and no secret but the public key", a.body)
	}
	if a := m.do("POST", path+"/test", ""); a.status != 200 || !strings.Contains(a.body, `"success":true`) {
		t.Errorf("test = %d %s", a.status, a.body)
	}
	await(t, got, s.Secret, webhook.TypeTest)

	t.Log("a session with a webhook and a secret of its own")
	own := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a-secret-of-at-least-24-bytes"))
	registration := `{"endpoint":"smartid-sign","token":"0123456789abcdef","access_token":"the-access-token","webhook":{"url":"` + receiver + `","secret":"` + own + `"}}`
	a = m.do("POST", "/v1/sessions", registration)
	registered := decode[struct {
		ID      string
		Webhook struct{ Subscription string }
	}](t, a)
	if a.status != 201 || !strings.HasPrefix(registered.ID, "ses_") || !strings.HasPrefix(registered.Webhook.Subscription, "sub_") || strings.Contains(a.body, own) {
		t.Fatalf("register = %d %s", a.status, a.body)
	}
	if a := m.do("POST", "/v1/sessions", registration); a.status != 200 {
		t.Errorf("register again = %d %s", a.status, a.body)
	}
	sessionPath := "/v1/sessions/" + registered.ID
	if a := m.do("GET", sessionPath+"/response", ""); a.status != 404 {
		t.Errorf("response before the end = %d %s", a.status, a.body)
	}
	for end := time.Now().Add(20 * time.Second); ; { // until the first answer of the upstream
		a := m.do("GET", "/v1/sessions?state=pending", "")
		if strings.Contains(a.body, "0123456789abcdef") {
			t.Errorf("list = %s; want tokens shortened", a.body)
		}
		if strings.Contains(a.body, registered.ID) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("list = %s", a.body)
		}
	}
	signed.Store(true)
	after := ""
	for found := false; !found; {
		a := m.do("GET", "/v1/events?wait=20&after="+after, "")
		page := decode[eventPage](t, a)
		if a.status != 200 || len(page.Items) == 0 {
			t.Fatalf("events = %d %s", a.status, a.body)
		}
		for _, e := range page.Items {
			found = found || e.Type == webhook.TypeSucceeded && e.Subject == registered.ID && e.Payload["type"] == e.Type
		}
		after = page.Next
	}
	if a := m.do("GET", sessionPath+"/response", ""); a.status != 200 || a.body != `{"status":"ok","file":{"name":"a.pdf","content":"JVBERi0="}}` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("response = %d %v %s", a.status, a.header, a.body)
	}
	if a := m.do("GET", "/v1/events?after=ZXh4eA", ""); a.status != 422 {
		t.Errorf("events after nonsense = %d %s", a.status, a.body)
	} else {
		wantLocation(t, "events", a, "query.after")
	}

	t.Log("the delivery is listed, and can be made again")
	var d struct{ ID, State, Type string }
	for end := time.Now().Add(20 * time.Second); d.ID == ""; {
		a := m.do("GET", "/v1/deliveries?state=delivered&subscription="+s.ID+"&session="+registered.ID, "")
		page := decode[struct {
			Items []struct{ ID, State, Type string }
		}](t, a)
		for _, item := range page.Items {
			if item.Type == webhook.TypeSucceeded {
				d = item
			}
		}
		if time.Now().After(end) {
			t.Fatalf("deliveries = %d %s", a.status, a.body)
		}
	}
	for len(got) > 0 {
		<-got
	}
	if a := m.do("GET", "/v1/deliveries/"+d.ID, ""); a.status != 200 || !strings.Contains(a.body, `"status":200`) {
		t.Errorf("delivery = %d %s", a.status, a.body)
	}
	if a := m.do("POST", "/v1/deliveries/"+d.ID+"/redeliver", ""); a.status != 202 {
		t.Errorf("redeliver = %d %s", a.status, a.body)
	}
	await(t, got, s.Secret, webhook.TypeSucceeded)
	if a := m.do("GET", "/v1/deliveries?cursor="+base64.RawURLEncoding.EncodeToString([]byte("dnonsense")), ""); a.status != 422 {
		t.Errorf("deliveries at nonsense = %d %s", a.status, a.body)
	} else {
		wantLocation(t, "deliveries", a, "query.cursor")
	}
	if a := m.do("GET", "/v1/subscriptions?cursor="+base64.RawURLEncoding.EncodeToString([]byte("snonsense")), ""); a.status != 422 {
		t.Errorf("subscriptions at nonsense = %d %s", a.status, a.body)
	} else {
		wantLocation(t, "subscriptions", a, "query.cursor")
	}

	t.Log("changes, and the end")
	if a := m.do("PATCH", path, `{"url":"http://10.0.0.1/","endpoints":["nonsense"]}`); a.status != 422 {
		t.Errorf("patch with nonsense = %d %s", a.status, a.body)
	}
	if a := m.do("PATCH", path, `{"enabled":false,"description":"off","signature":null,"account":null}`); a.status != 200 || !strings.Contains(a.body, `"enabled":false`) || strings.Contains(a.body, "acc_") {
		t.Errorf("patch = %d %s", a.status, a.body)
	}
	if a := m.do("POST", path+"/recover", `{"since":"2026-11-01T00:00:00Z"}`); a.status != 409 {
		t.Errorf("recover while disabled = %d %s", a.status, a.body)
	}
	if a := m.do("POST", path+"/rotate-secret", ""); a.status != 200 || !strings.Contains(a.body, "whsec_") || strings.Contains(a.body, s.Secret) {
		t.Errorf("rotate = %d %s", a.status, a.body)
	}
	for _, gone := range []string{sessionPath, path} {
		if a := m.do("DELETE", gone, ""); a.status != 204 {
			t.Errorf("delete = %d %s", a.status, a.body)
		}
		if a := m.do("GET", gone, ""); a.status != 404 {
			t.Errorf("get of what is gone = %d %s", a.status, a.body)
		}
	}
}
