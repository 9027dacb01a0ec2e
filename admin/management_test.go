package admin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/admin"
	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
)

// managed is a server with a management API.
type managed struct {
	*fakes
	t    *testing.T
	url  string
	api  *api.Client
	log  testkit.LogBuffer
	stop func()

	inHaste bool // to stop when the time for that is almost over
}

func manage(t *testing.T) *managed { return managePinging(t, 0) }

func managePinging(t *testing.T, ping time.Duration) *managed {
	t.Helper()
	fakes := newFakes()
	return manageServices(t, fakes, fakes.services(), ping)
}

func manageServices(t *testing.T, fakes *fakes, services *admin.Services, ping time.Duration) *managed {
	t.Helper()
	m := &managed{fakes: fakes, t: t}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.url = "http://" + ln.Addr().String()
	connections := &http.Transport{}
	t.Cleanup(connections.CloseIdleConnections)
	m.api, err = api.New(m.url, key, &http.Client{Transport: connections})
	testkit.NoError(t, err)
	cfg := admin.DefaultConfig()
	cfg.Keys = []string{key}
	registry := prometheus.NewRegistry()
	server, err := admin.New(cfg, admin.Options{
		Ready: func() error { return nil }, Registry: registry, Metrics: registry, Log: m.log.Logger(slog.LevelInfo),
		Services: services, Version: "1.2.3", Ping: ping, Logins: newLogins(),
	})
	testkit.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	get(t, m.url+"/healthz") // what is not served yet cannot be shut down
	stopped := false
	m.stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		if m.inHaste {
			ctx = testkit.AlmostOver(ctx)
		}
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	}
	t.Cleanup(m.stop)
	return m
}

// request is one call with the key.
func (m *managed) request(ctx context.Context, method, path, body string, fields ...string) (*http.Response, error) {
	m.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, m.url+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(request)
}

func (m *managed) do(method, path, body string, fields ...string) testkit.Answer {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second)
	defer cancel()
	response, err := m.request(ctx, method, path, body, fields...)
	if err != nil {
		m.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := testkit.ReadAnswer(response)
	if a.Err != nil {
		m.t.Errorf("%s %s: %v", method, path, a.Err)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := a.Header.Get(name); got != want {
			m.t.Errorf("%s %s: %s = %q, want %q", method, path, name, got, want)
		}
	}
	if a.Header.Get("X-Request-Id") == "" {
		m.t.Errorf("%s %s: no X-Request-Id", method, path)
	}
	if a.Status >= 400 {
		wantProblem(m.t, method+" "+path, a)
	}
	return a
}

// wantLocation checks that a problem names a field.
func wantLocation(t *testing.T, what string, a testkit.Answer, location string) {
	t.Helper()
	var p struct {
		Detail string
		Errors []struct{ Location, Message string }
	}
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for _, e := range p.Errors {
		if e.Location == location && e.Message != "" && p.Detail != "" {
			return
		}
	}
	t.Errorf("%s = %d %s; want a problem at %s", what, a.Status, a.Body, location)
}

func decode[T any](t *testing.T, a testkit.Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Errorf("%q: %v", a.Body, err)
	}
	return v
}

type object = map[string]any

func TestSubscriptionsStory(t *testing.T) {
	m := manage(t)
	a := m.do("POST", "/v1/subscriptions", `{"url":"https://example.com/hook","events":["session.succeeded"],"account":"the-access-token","headers":{"X-Tenant":"seven"}}`)
	s := decode[object](t, a)
	if a.Status != 201 || s["id"] != id("sub_", 1) || a.Header.Get("Location") != "/v1/subscriptions/"+id("sub_", 1) || s["secret"] != "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXc=" {
		t.Errorf("create = %d %v %s", a.Status, a.Header, a.Body)
	}
	if got := m.created[0]; got.Account != "the-access-token" || got.Headers["X-Tenant"] != "seven" || got.Disabled {
		t.Errorf("created from %+v", got)
	}
	for enabled, disabled := range map[string]bool{"false": true, "true": false} {
		m.do("POST", "/v1/subscriptions", `{"url":"https://example.com/hook","enabled":`+enabled+`}`)
		if got := m.created[len(m.created)-1]; got.Disabled != disabled {
			t.Errorf("enabled %s made %+v", enabled, got)
		}
	}
	path := "/v1/subscriptions/" + id("sub_", 1)
	if a := m.do("GET", path, ""); a.Status != 200 || decode[object](t, a)["url"] != "https://example.com/hook" || strings.Contains(a.Body, "whsec_") {
		t.Errorf("get = %d %s", a.Status, a.Body)
	}
	if a := m.do("GET", path, ""); !strings.Contains(a.Body, `"endpoints":[]`) {
		t.Errorf("an empty list is shown as %s", a.Body)
	}
	if a := m.do("PATCH", path, `{"description":"mine","headers":null,"enabled":true}`); a.Status != 200 || decode[object](t, a)["description"] != "mine" {
		t.Errorf("patch = %d %s", a.Status, a.Body)
	}
	if c := m.changes[0]; c.URL != nil || c.Events != nil || c.Endpoints != nil || c.IncludeFile != nil || *c.Description != "mine" || c.Headers == nil || len(*c.Headers) != 0 || !*c.Enabled {
		t.Errorf("change = %+v", c)
	}
	if a := m.do("POST", path+"/rotate-secret", ""); a.Status != 200 || decode[object](t, a)["secret"] != "whsec_cm90YXRlZC1yb3RhdGVkLXJvdGF0ZWQ=" {
		t.Errorf("rotate = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", path+"/test", "{}"); a.Status != 200 || decode[object](t, a)["answer"] != "no � thanks" || decode[object](t, a)["success"] != false {
		t.Errorf("test = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", path+"/recover", `{"since":"2026-11-20T00:00:00+02:00"}`); a.Status != 202 || decode[object](t, a)["redelivered"] != 3.0 {
		t.Errorf("recover = %d %s", a.Status, a.Body)
	} else if a = m.do("POST", path+"/recover", fmt.Sprintf(`{"since":"2026-11-20T00:00:00+02:00","continue_from":"%v"}`, decode[object](t, a)["continue_from"])); a.Status != 202 ||
		decode[object](t, a)["redelivered"] != 2.0 || decode[object](t, a)["continue_from"] != nil {
		t.Errorf("then recover = %d %s", a.Status, a.Body)
	}
	if want := time.Date(2026, 11, 19, 22, 0, 0, 0, time.UTC); !m.recovered.Equal(want) {
		t.Errorf("recovered since %v, want %v", m.recovered, want)
	}
	if a := m.do("DELETE", path, ""); a.Status != 204 || a.Body != "" {
		t.Errorf("delete = %d %s", a.Status, a.Body)
	}
	for _, call := range []string{"GET ", "DELETE ", "POST /rotate-secret", "POST /test"} {
		method, action, _ := strings.Cut(call, " ")
		if a := m.do(method, path+action, ""); a.Status != 404 {
			t.Errorf("%s of what is gone = %d", call, a.Status)
		}
	}
	if a := m.do("PATCH", path, "{}"); a.Status != 404 {
		t.Errorf("patch of what is gone = %d", a.Status)
	}
}

func TestServicesNameFields(t *testing.T) {
	m := manage(t)
	for _, test := range []struct{ method, path, body, location string }{
		{"POST", "/v1/subscriptions", `{"url":"http://example.com"}`, "body.url"},
		{"POST", "/v1/sessions", `{"endpoint":"smartid-sign","token":"t","access_token":"a","webhook":{"url":"http://example.com"}}`, "body.webhook.url"},
	} {
		a := m.do(test.method, test.path, test.body)
		if a.Status != 422 || !strings.Contains(a.Body, "want an https URL") {
			t.Errorf("%s = %d %s", test.path, a.Status, a.Body)
		}
		wantLocation(t, test.path, a, test.location)
	}
}

func TestSessionsThatCannotBeWatched(t *testing.T) {
	m := manage(t)
	for body, location := range map[string]string{
		`{"endpoint":"nonsense","token":"t","access_token":"hunter2"}`:                                                       "body.endpoint",
		`{"endpoint":"smartid-sign","token":"a/b","access_token":"hunter2"}`:                                                 "body.token",
		`{"endpoint":"smartid-sign","token":"t","access_token":"hunter2","locale":"xx"}`:                                     "body.locale",
		`{"endpoint":"smartid-sign","token":"t","access_token":""}`:                                                          "body.access_token",
		`{"endpoint":"smartid-sign","token":"t"}`:                                                                            "body.access_token",
		`{"endpoint":"smartid-sign","token":"t","access_token":"hunter2","webhook":{}}`:                                      "body.webhook.url",
		`{"endpoint":"smartid-sign","token":"t","access_token":"hunter2","webhook":{"url":"https://x","events":["hunter"]}}`: "body.webhook.events[0]",
	} {
		a := m.do("POST", "/v1/sessions", body)
		if a.Status != 422 || strings.Contains(a.Body, "hunter2") {
			t.Errorf("%s = %d %s", body, a.Status, a.Body)
		}
		wantLocation(t, body, a, location)
	}
	t.Log("a webhook that was made for a session that cannot be watched is taken back")
	m.full = watch.ErrFull
	a := m.do("POST", "/v1/sessions", `{"endpoint":"smartid-sign","token":"t","access_token":"a","webhook":{"url":"https://example.com"}}`)
	if a.Status != 503 || a.Header.Get("Retry-After") == "" || len(m.attached) != 1 || len(m.subscriptions) != 0 {
		t.Errorf("full = %d %s, %d attached, %d left", a.Status, a.Body, len(m.attached), len(m.subscriptions))
	}
}

func TestDeliveriesStory(t *testing.T) {
	m := manage(t)
	for n := range 5 {
		m.deliveries = append(m.deliveries, delivery.Delivery{ID: id("dlv_", n), State: []string{"dead", "waiting"}[n%2], Created: someTime})
	}
	a := m.do("GET", "/v1/deliveries?limit=2&subscription=sub_1&state=dead&session=ses_1", "")
	if got := decode[struct{ Items []struct{ ID string } }](t, a); a.Status != 200 || len(got.Items) != 2 || got.Items[0].ID != id("dlv_", 4) {
		t.Errorf("list = %d %s", a.Status, a.Body)
	}
	if got := m.filters[0]; got != "{sub_1 ses_1 dead}" {
		t.Errorf("filter = %s", got)
	}
	a = m.do("GET", "/v1/deliveries/"+id("dlv_", 0), "")
	if got := decode[struct{ Attempts []object }](t, a); a.Status != 200 || len(got.Attempts) != 2 || got.Attempts[1]["answer"] != "�" || got.Attempts[1]["success"] != true || got.Attempts[0]["status"] != nil {
		t.Errorf("get = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", "/v1/deliveries/"+id("dlv_", 0)+"/redeliver", ""); a.Status != 202 || decode[object](t, a)["state"] != "waiting" {
		t.Errorf("redeliver = %d %s", a.Status, a.Body)
	}
	if a := m.do("POST", "/v1/deliveries/"+id("dlv_", 1)+"/redeliver", ""); a.Status != 409 || !strings.Contains(a.Body, "in progress") {
		t.Errorf("redeliver what is under way = %d %s", a.Status, a.Body)
	}
	if a := m.do("GET", "/v1/deliveries/dlv_none", ""); a.Status != 404 {
		t.Errorf("get of nothing = %d", a.Status)
	}
}

func TestOutcomesAndSchedule(t *testing.T) {
	m := manage(t)
	m.do("POST", "/v1/subscriptions", `{"url":"https://example.com"}`)
	one := id("sub_", 1)
	if a := m.do("GET", "/v1/subscriptions/"+one, ""); a.Status != 200 || strings.Contains(a.Body, "outcomes") {
		t.Errorf("get = %d %s; want no outcomes, as nobody knows them", a.Status, a.Body)
	}
	want := delivery.Outcomes{Attempts: 3, Succeeded: 2, Waiting: 1, LastError: "answered 503", LastErrorAt: someTime}
	m.mu.Lock()
	m.outcomes = map[string]delivery.Outcomes{one: want}
	m.mu.Unlock()
	if got := decode[api.Subscription](t, m.do("GET", "/v1/subscriptions/"+one, "")).Outcomes; got == nil || *got != api.Outcomes(want) {
		t.Errorf("get = outcomes %+v; want %+v", got, want)
	}
	if got := decode[api.List[api.Subscription]](t, m.do("GET", "/v1/subscriptions", "")).Items; len(got) != 1 || got[0].Outcomes == nil || *got[0].Outcomes != api.Outcomes(want) {
		t.Errorf("list = %+v", got)
	}
	schedule, err := m.api.Schedule(t.Context())
	testkit.NoError(t, err)
	if len(schedule.Curves) != 1 || schedule.Curves[0].PollsAtInterval != 170 || schedule.Curves[0].Points[0].GapSeconds != 1.5 {
		t.Errorf("schedule = %+v", schedule)
	}
}

func TestSessionsStory(t *testing.T) {
	m := manage(t)
	body := `{"endpoint":"smartid-sign","token":"0123456789abcdef","access_token":"the-access-token","locale":"en","webhook":{"url":"https://example.com"}}`
	a := m.do("POST", "/v1/sessions", body)
	got := decode[struct {
		ID      string
		Webhook struct{ Subscription, Secret string }
	}](t, a)
	const sessionID = "ses_of_0123456789abcdef"
	if a.Status != 201 || got.ID != sessionID || a.Header.Get("Location") != "/v1/sessions/"+sessionID || got.Webhook.Subscription != id("sub_", 7) || !strings.HasPrefix(got.Webhook.Secret, "whsec_") {
		t.Errorf("register = %d %v %s", a.Status, a.Header, a.Body)
	}
	if s := m.sessions[0]; m.credentials[0] != "the-access-token" || m.attached[0].URL != "https://example.com" || s.Locale != "en" {
		t.Errorf("registered %+v", s)
	}
	if a := m.do("POST", "/v1/sessions", body); a.Status != 200 || strings.Contains(a.Body, "the-access-token") || strings.Contains(a.Body, "whsec_") {
		t.Errorf("register again = %d %s", a.Status, a.Body)
	}
	path := "/v1/sessions/" + sessionID
	if a := m.do("GET", "/v1/sessions?state=pending", ""); a.Status != 200 || !strings.Contains(a.Body, `"token":"01234567…"`) {
		t.Errorf("list = %d %s; want the token shortened", a.Status, a.Body)
	}
	if a := m.do("GET", "/v1/sessions?state=failed", ""); a.Body != `{"items":[]}` && a.Body != `{"items":[]}`+"\n" {
		t.Errorf("list of none = %d %s", a.Status, a.Body)
	}
	if a := m.do("GET", path, ""); a.Status != 200 || !strings.Contains(a.Body, `"token":"0123456789abcdef"`) || strings.Contains(a.Body, "the-access-token") {
		t.Errorf("get = %d %s", a.Status, a.Body)
	}
	if a := m.do("GET", path, ""); strings.Contains(a.Body, `"watch":`) {
		t.Errorf("get = %s; want nothing of its watch, as nobody knows", a.Body)
	}
	m.mu.Lock()
	m.polling = watch.Polling{Last: someTime, Next: someTime.Add(time.Second), Failures: 2, Failure: "held_back", NotBefore: someTime.Add(time.Minute)}
	m.mu.Unlock()
	if got := decode[api.Session](t, m.do("GET", path, "")).Watch; got == nil || *got != (api.Watch{
		LastPollAt: someTime, NextPollAt: someTime.Add(time.Second), Failures: 2, LastFailure: "held_back", NotBefore: someTime.Add(time.Minute),
	}) {
		t.Errorf("get = watch %+v", got)
	}
	if a := m.do("GET", path+"/events", ""); a.Status != 200 || strings.TrimSpace(a.Body) != `{"items":[]}` {
		t.Errorf("events of a session that has none = %d %s", a.Status, a.Body)
	}
	if a := m.do("GET", "/v1/sessions/ses_none/events", ""); a.Status != 404 {
		t.Errorf("events of nothing = %d %s", a.Status, a.Body)
	}
	m.happen("session.pending")
	if got := decode[api.SessionEvents](t, m.do("GET", "/v1/sessions/"+id("ses_", 1)+"/events", "")); len(got.Items) != 1 || got.Items[0].Type != "session.pending" {
		t.Errorf("events of a session that is no longer stored = %+v", got)
	}
	for _, test := range []struct {
		state session.State
		end   watch.End
		want  string
	}{
		{session.Pending, watch.Watching, "the session is pending: there is no final answer yet"},
		{session.Pending, watch.Abandoned, "the session is abandoned: there is no final answer"},
		{session.Succeeded, watch.Final, "the session is succeeded, but its final answer is not stored, or no longer"},
	} {
		m.mu.Lock()
		m.sessions[0].State, m.sessions[0].End = test.state, test.end
		m.mu.Unlock()
		if a := m.do("GET", path+"/response", ""); a.Status != 404 || !strings.Contains(a.Body, test.want) {
			t.Errorf("response before there is one = %d %s; want 404: %s", a.Status, a.Body, test.want)
		}
	}
	if a := m.do("GET", "/v1/sessions/ses_none/response", ""); a.Status != 404 || !strings.Contains(a.Body, "nothing with this id") {
		t.Errorf("response of no session = %d %s", a.Status, a.Body)
	}
	document := bytes.Repeat([]byte("{\"file\": \x00\xff}\n"), 100_000)
	m.mu.Lock()
	m.answers[sessionID] = &session.Observation{At: someTime, Content: &session.Content{
		Status: 418, Body: document,
		Header: []session.Field{{Name: []byte("content-type"), Value: []byte("application/json; charset=utf-8")}, {Name: []byte("Set-Cookie"), Value: []byte("theirs=1")}},
	}}
	m.mu.Unlock()
	a = m.do("GET", path+"/response", "")
	if a.Status != 200 || a.Body != string(document) || a.Header.Get("Content-Type") != "application/json; charset=utf-8" ||
		a.Header.Get("Pollbridge-Upstream-Status") != "418" || a.Header.Get("Set-Cookie") != "" || !strings.Contains(a.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("response = %d %v, %d bytes", a.Status, a.Header, len(a.Body))
	}
	if a := m.do("DELETE", path, ""); a.Status != 204 {
		t.Errorf("delete = %d %s", a.Status, a.Body)
	}
	if a := m.do("GET", path, ""); a.Status != 404 {
		t.Errorf("get of what is gone = %d", a.Status)
	}
}

func TestStats(t *testing.T) {
	a := manage(t).do("GET", "/v1/stats", "")
	if got := decode[api.Stats](t, a); a.Status != 200 || got.Polls.Saved != 9 || got.Breaker != "closed" {
		t.Errorf("stats = %d %s", a.Status, a.Body)
	}
}

// TestCallsEndBeforeTheServer: a call under way is done before the server has stopped, or answered with an error
// where that takes too long.
func TestCallsEndBeforeTheServer(t *testing.T) {
	t.Parallel()
	for _, inHaste := range []bool{false, true} {
		fakes := newFakes()
		services := fakes.services()
		begun, finish := make(chan struct{}), make(chan struct{})
		services.Stats = func(ctx context.Context) (api.Stats, error) {
			close(begun)
			select {
			case <-ctx.Done():
				return api.Stats{}, ctx.Err()
			case <-finish:
				return fakes.stats(ctx)
			}
		}
		m := manageServices(t, fakes, services, 0)
		m.inHaste = inHaste
		answers, waits := make(chan testkit.Answer, 1), make(chan testkit.Answer, 1)
		go func() { answers <- m.do("GET", "/v1/stats", "") }()
		go func() { waits <- m.do("GET", "/v1/events?wait=60", "") }()
		<-begun
		<-fakes.waiting
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			m.stop()
		}()
		if a := <-waits; a.Status != 200 {
			t.Errorf("who waits for events got %d, %v", a.Status, a.Err)
		}
		want := http.StatusServiceUnavailable
		if !inHaste {
			want = http.StatusOK
			close(finish)
		}
		if a := <-answers; a.Status != want {
			t.Errorf("in haste %t: a call got %d %q, %v; want %d", inHaste, a.Status, a.Body, a.Err, want)
		}
		<-stopped
	}
}

func TestListsArePaged(t *testing.T) {
	m := manage(t)
	for n := range 120 {
		m.subscriptions = append(m.subscriptions, webhook.Subscription{ID: id("sub_", n)})
		m.deliveries = append(m.deliveries, delivery.Delivery{ID: id("dlv_", n)})
		m.sessions = append(m.sessions, watch.Session{ID: id("ses_", n)})
	}
	for _, kind := range []string{"subscriptions", "deliveries", "sessions"} {
		var seen []string
		cursor, pages := "", 0
		for {
			a := m.do("GET", "/v1/"+kind+"?cursor="+cursor, "")
			got := decode[struct {
				Items []struct{ ID string }
				Next  string
			}](t, a)
			for _, item := range got.Items {
				seen = append(seen, item.ID[4:])
			}
			pages++
			if cursor = got.Next; cursor == "" || pages > 5 {
				break
			}
		}
		if len(seen) != 120 || pages != 3 || seen[0] != fmt.Sprintf("%026d", 119) || seen[119] != fmt.Sprintf("%026d", 0) {
			t.Errorf("%s: %d items on %d pages, %v…", kind, len(seen), pages, seen[:1])
		}
		if a := m.do("GET", "/v1/"+kind+"?limit=200", ""); strings.Contains(a.Body, `"next"`) {
			t.Errorf("%s: a next where nothing follows: %s", kind, a.Body[len(a.Body)-100:])
		}
		other := decode[struct{ Next string }](t, m.do("GET", "/v1/"+map[string]string{"subscriptions": "sessions", "deliveries": "subscriptions", "sessions": "deliveries"}[kind]+"?limit=1", "")).Next
		for name, bad := range map[string]string{"nonsense": "!", "of another list": other, "no position": "cw", "of the service's dislike": map[string]string{"subscriptions": "c3g", "deliveries": "ZHg", "sessions": "dyE"}[kind], "padded": other + "="} {
			a := m.do("GET", "/v1/"+kind+"?cursor="+bad, "")
			if a.Status != 422 {
				t.Errorf("%s: a cursor %s (%s): %d", kind, name, bad, a.Status)
			}
			wantLocation(t, kind+", cursor "+name, a, "query.cursor")
		}
		for _, bad := range []string{"0", "201", "-1", "x", "1.5", "99999999999999999999"} {
			wantLocation(t, kind+", limit "+bad, m.do("GET", "/v1/"+kind+"?limit="+bad, ""), "query.limit")
		}
	}
}

func TestFailuresOfServices(t *testing.T) {
	m := manage(t)
	for _, test := range []struct {
		err        error
		want       int
		retryAfter string
		logged     bool
	}{
		{errSecret, 500, "", true},
		{fmt.Errorf("x: %w", admin.ErrUnavailable), 503, "1", true},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), 503, "1", true},
		{fmt.Errorf("x: %w", store.ErrConflict), 409, "", false},
		{fmt.Errorf("x: %w", store.ErrNotFound), 404, "", false},
		{fmt.Errorf("x: %w", store.ErrTooLarge), 422, "", false},
		{fmt.Errorf("x: %w", watch.ErrNotFound), 404, "", false},
		{fmt.Errorf("x: %w", watch.ErrFull), 503, "1", true},
		{fmt.Errorf("x: %w", webhook.ErrFull), 503, "1", true},
		{fmt.Errorf("x: %w", webhook.ErrDisabled), 409, "", false},
		{fmt.Errorf("x: %w", webhook.ErrEnded), 409, "", false},
		{fmt.Errorf("x: %w", webhook.ErrForgotten), 409, "", false},
		{fmt.Errorf("x: %w", webhook.ErrUnderWay), 409, "", false},
	} {
		m.mu.Lock()
		m.fail = test.err
		m.mu.Unlock()
		before := len(m.log.String())
		for _, path := range []string{"/v1/subscriptions", "/v1/subscriptions/sub_1", "/v1/deliveries/dlv_1", "/v1/events", "/v1/events?wait=9", "/v1/events/stream", "/v1/stats", "/v1/sessions/ses_1/response"} {
			a := m.do("GET", path, "")
			if a.Status != test.want || a.Header.Get("Retry-After") != test.retryAfter {
				t.Errorf("%s after %v = %d %v", path, test.err, a.Status, a.Header)
			}
			if strings.Contains(a.Body, "secret") || strings.Contains(a.Body, "fake") {
				t.Errorf("%s after %v shows the error: %s", path, test.err, a.Body)
			}
		}
		if logged := len(m.log.String()) > before; logged != test.logged {
			t.Errorf("%v: logged = %v", test.err, logged)
		}
	}
}

func TestBodiesThatCannotBeRead(t *testing.T) {
	m := manage(t)
	const secret = "do-not-repeat-me"
	for _, test := range []struct {
		name, body, contentType string
		status                  int
		want                    string
	}{
		{"nothing", "", "application/json", 400, "request body is required"},
		{"no JSON", secret, "application/json", 400, "malformed JSON at byte 0"},
		{"half of it", `{"url":"` + secret, "application/json", 400, "unexpected end of input"},
		{"too much", `{"url":"https://` + secret + `"} x`, "application/json", 400, "malformed JSON"},
		{"a name twice", `{"url":"https://` + secret + `","url":"https://x"}`, "application/json", 400, "in url: duplicate name"},
		{"a name twice, deeper", `{"url":"https://x","headers":{"A":"` + secret + `","A":"2"}}`, "application/json", 400, "in headers.A: duplicate name"},
		{"bad UTF-8", "{\"url\":\"\xff" + secret + `"}`, "application/json", 400, "malformed JSON"},
		{"a list", `["` + secret + `"]`, "application/json", 422, "expected object"},
		{"null", `null`, "application/json", 422, "expected object"},
		{"a form", "url=" + secret, "application/x-www-form-urlencoded", 415, "must be application/json"},
		{"text", `{"url":"https://x"}`, "text/plain", 415, "must be application/json"},
		{"another case", `{"URL":"https://` + secret + `"}`, "application/json", 422, "body.url: is required"},
		{"another case, beside", `{"url":"https://x","Url":"https://` + secret + `"}`, "application/json", 422, "body.Url: unknown field"},
	} {
		a := m.do("POST", "/v1/subscriptions", test.body, "Content-Type: "+test.contentType)
		if a.Status != test.status || !strings.Contains(a.Body, test.want) {
			t.Errorf("%s = %d %s; want %d with %q", test.name, a.Status, a.Body, test.status, test.want)
		}
		if strings.Contains(a.Body, secret) {
			t.Errorf("%s: %s repeats what was sent", test.name, a.Body)
		}
	}
	if a := m.do("POST", "/v1/subscriptions", `{"url":"https://example.com"}`, "Content-Type: application/json; charset=utf-8"); a.Status != 201 {
		t.Errorf("JSON that says its charset = %d %s", a.Status, a.Body)
	}
	if strings.Contains(m.log.String(), secret) {
		t.Errorf("the log repeats what was sent: %s", m.log.String())
	}
}

// TestSecretsInWrongPlaces are in no answer and in no log.
func TestSecretsInWrongPlaces(t *testing.T) {
	m, _, _ := realManaged(t)
	for _, secret := range []string{
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", key,
		"0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11", "Bearer abcdefgh", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", strings.Repeat("hidden", 20),
	} {
		for _, body := range []string{
			`{"url":"https://example.com","secret":"%s"}`, `{"url":"https://example.com","%s":1}`, `{"%s":{}}`, `{"url":"%s"}`, `{"url":"https://u:%s@example.com"}`,
			`{"url":"https://example.com?%s#"}`, `{"url":"https://example.com","events":["%s"]}`, `{"url":"https://example.com","session":"%s"}`,
			`{"url":"https://example.com","include_file":"%s"}`, `{"url":"https://example.com","headers":{"%s":{}}}`, `{"url":"https://example.com","headers":["%s"]}`,
			`{"url":"https://example.com","headers":{"Webhook-%s":"x"}}`, `{"url":"https://example.com","headers":{"Host":"%s"}}`, `{"url":"https://example.com","endpoints":["%s"]}`,
			`{"url":"https://example.com","signature":"%s"}`, `{"url":{"%s":1}}`, `{"url":"https://example.com","%[1]s":1,"%[1]s":2}`, `"%s"`, `%s`,
		} {
			a := m.do("POST", "/v1/subscriptions", fmt.Sprintf(body, secret))
			if a.Status != 400 && a.Status != 422 && a.Status != 415 || strings.Contains(a.Body, secret) || strings.Contains(a.Body, secret[:len(secret)/2]) {
				t.Errorf("%s = %d %s", fmt.Sprintf(body, secret), a.Status, a.Body)
			}
		}
		for _, path := range []string{"/v1/subscriptions?%s=1", "/v1/subscriptions?limit=%s", "/v1/subscriptions?cursor=%s", "/v1/subscriptions?%[1]s=1&%[1]s=2", "/v1/subscriptions/%s", "/v1/events?after=%s", "/v1/deliveries?state=%s", "/v1/%s"} {
			a := m.do("GET", fmt.Sprintf(path, url.QueryEscape(secret)), "")
			if a.Status < 400 || strings.Contains(a.Body, secret) || strings.Contains(a.Body, url.QueryEscape(secret)) {
				t.Errorf("%s with %s = %d %s", path, secret, a.Status, a.Body)
			}
		}
		if log := m.log.String(); strings.Contains(log, secret) {
			t.Fatalf("the log has %s: %s", secret, log)
		}
	}
}

func TestBodiesThatAreTooLarge(t *testing.T) {
	m := manage(t)
	fill := func(size int) string {
		const around = `{"url":"https://example.com"}`
		return around + strings.Repeat(" ", size-len(around))
	}
	if a := m.do("POST", "/v1/subscriptions", fill(1<<20)); a.Status != 201 {
		t.Errorf("1 MiB = %d %s", a.Status, a.Body)
	}
	for _, size := range []int{1<<20 + 1, 3 << 20, 30 << 20} {
		if a := m.do("POST", "/v1/subscriptions", fill(size)); a.Status != 413 || !strings.Contains(a.Body, "at most 1 MiB") {
			t.Errorf("%d bytes = %d %s", size, a.Status, a.Body)
		}
	}
}

// TestConnectionsAreKept sends several requests at once over one connection.
func TestConnectionsAreKept(t *testing.T) {
	m := manage(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	head := func(method, path, more string) string {
		return method + " " + path + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + key + "\r\n" + more + "\r\n"
	}
	large := `{"url":"https://example.com","description":"x"` + strings.Repeat(" ", 100_000) + "}"
	requests := head("POST", "/v1/subscriptions", fmt.Sprintf("Content-Length: %d\r\n", len(large))) + large +
		head("POST", "/v1/subscriptions", "Transfer-Encoding: chunked\r\n") + "1d\r\n{\"url\":\"https://example.com\"}\r\n0\r\n\r\n" +
		head("POST", "/v1/subscriptions/"+id("sub_", 1)+"/rotate-secret", "Content-Length: 0\r\n") +
		head("GET", "/v1/stats", "Content-Length: 2\r\n") + "{}" +
		head("GET", "/v1/stats", "Connection: close\r\n")
	go io.WriteString(conn, requests)
	answers := bufio.NewReader(conn)
	for i, want := range []int{201, 201, 200, 200, 200} {
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != want {
			t.Errorf("answer %d = %d %s, want %d", i, response.StatusCode, body, want)
		}
	}
}

// TestServicesMayKeepWhatTheyGet: the HTTP engine reads the next request of a connection
// into the memory of the one before.
func TestServicesMayKeepWhatTheyGet(t *testing.T) {
	m := manage(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	answers := bufio.NewReader(conn)
	for _, id := range []string{"ses_aaaaaaaa", "ses_bbbbbbbb"} {
		fmt.Fprintf(conn, "GET /v1/deliveries?session=%s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", id, key)
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
	}
	if m.kept[0] != "ses_aaaaaaaa" || m.kept[1] != "ses_bbbbbbbb" {
		t.Errorf("kept = %q", m.kept)
	}
}

func TestEveryCallNeedsAKey(t *testing.T) {
	m := manage(t)
	for _, path := range []string{"/v1/subscriptions", "/v1/events/stream", "/v1/stats", "/v1/nothing"} {
		for _, fields := range [][]string{nil, {"Authorization: Bearer wrong-wrong-wrong-wrong"}, {"Authorization: Basic " + key}} {
			a := get(t, m.url+path, fields...)
			if a.Status != 401 || a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %v = %d %s", path, fields, a.Status, a.Body)
			}
			wantProblem(t, path, a)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/openapi.json": 200, "/docs": 200, "/nothing": 404, "/openapi.yaml": 404, "/schemas/Problem.json": 404} {
		if a := get(t, m.url+path); a.Status != want {
			t.Errorf("%s without a key, on this machine = %d", path, a.Status)
		}
	}
	for path, want := range map[string]int{"/v1/nothing": 404, "/v1/subscriptions/": 404, "/v1/subscriptions/sub_1/nothing": 404} {
		if a := m.do("GET", path, ""); a.Status != want {
			t.Errorf("%s = %d", path, a.Status)
		}
	}
	if a := m.do("PUT", "/v1/subscriptions", "{}"); a.Status != 405 || !strings.Contains(a.Header.Get("Allow"), "POST") {
		t.Errorf("PUT = %d %v", a.Status, a.Header)
	}
	if strings.Contains(m.log.String(), "sesame") {
		t.Errorf("the log shows a key: %s", m.log.String())
	}
}

func TestRequestIDs(t *testing.T) {
	m := manage(t)
	if got := m.do("GET", "/v1/stats", "", "X-Request-Id: mine").Header.Get("X-Request-Id"); got != "mine" {
		t.Errorf("the client's own becomes %q", got)
	}
	if got := m.do("GET", "/v1/stats", "", "X-Request-Id: "+strings.Repeat("x", 200)).Header.Get("X-Request-Id"); len(got) > 128 {
		t.Errorf("a long one is repeated: %q", got)
	}
}

func TestAddressesThatCannotBeRead(t *testing.T) {
	m := manage(t)
	for path, want := range map[string]int{
		"/v1/events?%zz=1": 400, "/v1/events?limit=%zz": 400, "/v1/events?limit=1;wait=2": 400,
	} {
		raw, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		raw.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(raw, "GET %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, key)
		text, _ := io.ReadAll(raw)
		raw.Close()
		if !bytes.HasPrefix(text, fmt.Appendf(nil, "HTTP/1.1 %d", want)) {
			t.Errorf("%s: %s", path, text)
		}
	}
	raw, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(raw, "GET /v1/subscriptions/%%zz HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", key)
	if text, _ := io.ReadAll(raw); !bytes.HasPrefix(text, []byte("HTTP/1.1 400")) {
		t.Errorf("a path that cannot be read: %s", text)
	}
	wantLocation(t, "a parameter twice", m.do("GET", "/v1/events?limit=1&limit=2", ""), "query.limit")
}
