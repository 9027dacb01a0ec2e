package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pollbridge/admin/api"
)

const key = "a-key-of-this-test"

// client is one of a server that answers so. The real one is in the tests of package admin.
func client(t *testing.T, answer http.HandlerFunc) *api.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := api.New(server.URL+"/below", key, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServersThatCannotBe(t *testing.T) {
	for _, server := range []string{"", "127.0.0.1:8090", "ftp://host", "http://", "http://user:hunter2@host", "http://host:hunter2"} {
		if _, err := api.New(server, key, nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New(%q) = %v; want an error that does not repeat it", server, err)
		}
	}
}

func TestCallsAreWhatTheServerTakes(t *testing.T) {
	var got *http.Request
	var body string
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		io.WriteString(w, "{}")
	})
	ctx := t.Context()
	for _, test := range []struct {
		call             func() error
		want, wantedBody string
	}{
		{func() error { _, err := c.Subscriptions(ctx, api.Page{}); return err }, "GET /below/v1/subscriptions", ""},
		{func() error { _, err := c.Subscriptions(ctx, api.Page{Cursor: "a b", Limit: 7}); return err }, "GET /below/v1/subscriptions?cursor=a+b&limit=7", ""},
		{func() error { _, err := c.Subscription(ctx, "a/b?"); return err }, "GET /below/v1/subscriptions/a%2Fb%3F", ""},
		{func() error { _, err := c.RotateSecret(ctx, "sub_1"); return err }, "POST /below/v1/subscriptions/sub_1/rotate-secret", ""},
		{func() error { _, err := c.Events(ctx, api.EventQuery{After: api.Latest, Wait: 30e9}); return err }, "GET /below/v1/events?after=latest&wait=30", ""},
		{func() error {
			_, err := c.UpdateSubscription(ctx, "sub_1", api.SubscriptionPatch{})
			return err
		}, "PATCH /below/v1/subscriptions/sub_1", "{}"},
		{func() error {
			_, err := c.UpdateSubscription(ctx, "sub_1", api.SubscriptionPatch{Events: api.Set([]string{}), Account: api.Null[string](), Enabled: new(false)})
			return err
		}, "PATCH /below/v1/subscriptions/sub_1", `{"events":[],"account":null,"enabled":false}`},
		{func() error {
			_, _, err := c.RegisterSession(ctx, api.NewSession{Endpoint: "e", Token: "t", AccessToken: "a"})
			return err
		}, "POST /below/v1/sessions", `{"endpoint":"e","token":"t","access_token":"a"}`},
	} {
		if err := test.call(); err != nil {
			t.Fatal(err)
		}
		if call := got.Method + " " + got.RequestURI; call != test.want || body != test.wantedBody || got.Header.Get("Authorization") != "Bearer "+key ||
			(got.Header.Get("Content-Type") == "application/json") != (body != "") {
			t.Errorf("called %s with %v and %s; want %s with %s", call, got.Header, body, test.want, test.wantedBody)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{422, `{"title":"Unprocessable Entity","status":422,"detail":"body.url: bad (and 1 more)","errors":[{"location":"body.url","message":"bad"},{"location":"body.events","message":"worse"}]}`,
			"422 Unprocessable Entity: body.url: bad; body.events: worse"},
		{404, `{"title":"Not Found","status":404,"detail":"nothing there"}`, "404 Not Found: nothing there"},
		{502, "<html>a proxy's page</html>", "502 Bad Gateway"},
		{503, "", "503 Service Unavailable"},
		{500, `{"status":"error"}`, "500 Internal Server Error"},
		{304, "", "304 Not Modified"},
	} {
		c := client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		})
		_, err := c.Stats(t.Context())
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != test.status || p.Error() != test.want {
			t.Errorf("%d %s is the error %v; want %s", test.status, test.body, err, test.want)
		}
	}
	t.Log("what is no answer of the API is no problem of it")
	_, err := client(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }).Stats(t.Context())
	if _, ok := errors.AsType[*api.Problem](err); ok || err == nil {
		t.Errorf("a page is the error %v", err)
	}
}

// TestResponsesStayAsTheyAre where the upstream had compressed them.
func TestResponsesStayAsTheyAre(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set(api.HeaderUpstreamStatus, "418")
		io.WriteString(w, "not really gzip")
	})
	response, err := c.Response(t.Context(), "ses_1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "not really gzip" || response.Status != 418 || response.Length != int64(len(body)) {
		t.Errorf("response = %d %s of %d bytes, %v", response.Status, body, response.Length, err)
	}
}

func TestStreams(t *testing.T) {
	const first = "id: A\nevent: session.pending\ndata: {\"id\":\"evt_1\",\"cursor\":\"A\",\"payload\":{\"n\":1.0}}\n\n"
	for name, test := range map[string]struct {
		text    string
		hangUp  bool
		want    []string
		lastID  string
		failing bool
	}{
		"nothing":                  {"", false, nil, "given", false},
		"signs of life":            {": pollbridge\n\n: ping\n\n", false, nil, "given", false},
		"a position alone":         {"id: Z\n\n", false, nil, "Z", false},
		"events":                   {first + ": ping\n\nid: B\ndata: {\"id\":\"evt_2\"}\n\n", false, []string{"evt_1", "evt_2"}, "B", false},
		"one of 1 MB":              {"id: C\ndata: {\"id\":\"evt_3\",\"type\":\"" + strings.Repeat("x", 1<<20) + "\"}\n\n", false, []string{"evt_3"}, "C", false},
		"an event that ends early": {first + "id: B\ndata: {\"id\"", false, []string{"evt_1"}, "A", false},
		"no event":                 {first + "data: nonsense\n\n", false, []string{"evt_1"}, "A", true},
		"a connection that ends":   {first, true, []string{"evt_1"}, "A", true},
	} {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("after") != "given" {
				t.Errorf("asked for %s", r.RequestURI)
			}
			io.WriteString(w, test.text)
			if test.hangUp {
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
		})
		stream, err := c.FollowEvents(t.Context(), "given")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		failed := false
		for e, err := range stream.All() {
			if failed = err != nil; !failed {
				got = append(got, e.ID)
			}
		}
		if strings.Join(got, " ") != strings.Join(test.want, " ") || stream.LastID() != test.lastID || failed != test.failing {
			t.Errorf("%s: %v, failed %v, then after %q; want %v, %v, %q", name, got, failed, stream.LastID(), test.want, test.failing, test.lastID)
		}
		stream.Close()
	}
}
