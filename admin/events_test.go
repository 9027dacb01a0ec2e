package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
)

type eventPage struct {
	Items []struct {
		ID, Cursor, Type, Subject string
		Payload                   map[string]any
	}
	Next string
}

func TestEventsAreFetchedInTheirOrder(t *testing.T) {
	m := manage(t)
	for range 7 {
		m.happen("session.pending")
	}
	var seen []string
	after := ""
	for range 4 {
		a := m.do("GET", "/v1/events?limit=3&after="+after, "")
		page := decode[eventPage](t, a)
		if a.Status != 200 || page.Next == "" {
			t.Fatalf("events = %d %s; want a next, always", a.Status, a.Body)
		}
		for _, e := range page.Items {
			seen = append(seen, e.ID)
			if e.Payload["type"] != "session.pending" || e.Subject == "" {
				t.Errorf("event = %+v", e)
			}
		}
		after = page.Next
	}
	if len(seen) != 7 || seen[0] != id("evt_", 1) || seen[6] != id("evt_", 7) {
		t.Errorf("seen %v; want all 7 in their order", seen)
	}
	if page := decode[eventPage](t, m.do("GET", "/v1/events?after=latest", "")); len(page.Items) != 0 || page.Next != after {
		t.Errorf("latest = %+v; want none, and next %s", page, after)
	}
	for _, bad := range []string{"!", "cw", "ZXg", after + "="} {
		a := m.do("GET", "/v1/events?after="+bad, "")
		if a.Status != 422 {
			t.Errorf("after=%s: %d", bad, a.Status)
		}
		wantLocation(t, "after="+bad, a, "query.after")
	}
	for _, bad := range []string{"61", "-1", "soon"} {
		wantLocation(t, "wait="+bad, m.do("GET", "/v1/events?wait="+bad, ""), "query.wait")
	}
}

func TestEventsAreAwaited(t *testing.T) {
	m := manage(t)
	answered := make(chan testkit.Answer)
	go func() { answered <- m.do("GET", "/v1/events?wait=60", "") }()
	testkit.Receive(t, "the reader waits", m.waiting)
	m.happen("session.succeeded")
	a := <-answered
	if page := decode[eventPage](t, a); a.Status != 200 || len(page.Items) != 1 || page.Items[0].Type != "session.succeeded" {
		t.Errorf("awaited = %d %s", a.Status, a.Body)
	}
	t.Log("where nothing comes, the answer is empty")
	if a := m.do("GET", "/v1/events?wait=1&after=latest", ""); a.Status != 200 || len(decode[eventPage](t, a).Items) != 0 {
		t.Errorf("awaited in vain = %d %s", a.Status, a.Body)
	}
}

func TestAwaitingEndsWithTheServerAndWithTheClient(t *testing.T) {
	m := manage(t)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := m.request(ctx, "GET", "/v1/events?wait=60", "")
		gone <- err
	}()
	testkit.Receive(t, "the reader waits", m.waiting)
	leave()
	<-gone
	testkit.Receive(t, "the reader is known to be gone", m.left)

	answered := make(chan testkit.Answer)
	go func() { answered <- m.do("GET", "/v1/events?wait=60", "") }()
	testkit.Receive(t, "the next reader waits", m.waiting)
	m.stop()
	if a := <-answered; a.Status != 200 || len(decode[eventPage](t, a).Items) != 0 {
		t.Errorf("at the end of the server = %d %s; want an empty answer", a.Status, a.Body)
	}
}

// follower reads a stream.
type follower struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
	leave    func()
	began    string // the position that the stream began with
}

func follow(m *managed, query string, fields ...string) *follower {
	m.t.Helper()
	ctx, leave := context.WithCancel(m.t.Context())
	m.t.Cleanup(leave)
	response, err := m.request(ctx, "GET", "/v1/events/stream"+query, "", fields...)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { response.Body.Close() })
	return &follower{t: m.t, response: response, lines: bufio.NewScanner(response.Body), leave: leave}
}

// next returns the fields of the next event; of comments, the last is counted as one.
func (f *follower) next() map[string]string {
	f.t.Helper()
	event := map[string]string{}
	for f.lines.Scan() {
		if line := f.lines.Text(); line != "" {
			name, value, _ := strings.Cut(line, ": ")
			event[name] = value
		} else if event["data"] != "" {
			return event
		} else if event["id"] != "" {
			f.began = event["id"]
			clear(event)
		}
	}
	f.t.Fatalf("the stream ended: %v", f.lines.Err())
	return nil
}

func TestStream(t *testing.T) {
	m := manage(t)
	m.happen("session.pending")
	f := follow(m, "")
	if got := f.response; got.StatusCode != 200 || got.Header.Get("Content-Type") != "text/event-stream" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("stream = %d %v", got.StatusCode, got.Header)
	}
	testkit.Receive(t, "the stream waits: what was before is not sent", m.waiting)
	m.happen("session.refused")
	m.happen("session.failed")
	first := f.next()
	var data struct {
		ID, Cursor string
		Payload    map[string]any
	}
	if err := json.Unmarshal([]byte(first["data"]), &data); err != nil {
		t.Fatalf("data = %q: %v", first["data"], err)
	}
	if first["event"] != "session.refused" || data.ID != id("evt_", 2) || data.Cursor != first["id"] || data.Payload["type"] != "session.refused" {
		t.Errorf("first = %v", first)
	}
	if second := f.next(); second["event"] != "session.failed" {
		t.Errorf("second = %v", second)
	}
	f.leave()
	testkit.Receive(t, "the reader is known to be gone", m.left)

	t.Log("who saw no event before it had to connect again goes on from where the stream began")
	if got := follow(m, "", "Last-Event-ID: "+f.began).next(); got["event"] != "session.refused" {
		t.Errorf("after what the stream began with, %q = %v", f.began, got)
	}
	t.Log("it goes on behind the last event that was seen")
	if got := follow(m, "", "Last-Event-ID: "+first["id"]).next(); got["event"] != "session.failed" {
		t.Errorf("after Last-Event-ID = %v", got)
	}
	if got := follow(m, "?after=latest", "Last-Event-ID: "+first["id"]).next(); got["event"] != "session.failed" {
		t.Errorf("after Last-Event-ID, which counts more = %v", got)
	}
	if got := follow(m, "?after="+first["id"]).next(); got["event"] != "session.failed" {
		t.Errorf("after = %v", got)
	}
	a := m.do("GET", "/v1/events/stream", "", "Last-Event-ID: nonsense!")
	if a.Status != 422 {
		t.Errorf("nonsense for an id = %d", a.Status)
	}
	wantLocation(t, "Last-Event-ID", a, "header.Last-Event-ID")
}

func TestStreamIsKeptAlive(t *testing.T) {
	m := managePinging(t, 20*time.Millisecond)
	f := follow(m, "")
	for pings := 0; pings < 3; {
		if !f.lines.Scan() {
			t.Fatalf("the stream ended: %v", f.lines.Err())
		}
		if f.lines.Text() == ": ping" {
			pings++
		}
	}
	f.leave()
	t.Log("that a reader is gone is noticed by the pings too, and makes room")
	testkit.Eventually(t, "no stream is held", func() bool { return decode[api.Stats](t, m.do("GET", "/v1/stats", "")).Held == 0 })
}

func TestStreamEndsWithTheServer(t *testing.T) {
	m := manage(t)
	f := follow(m, "")
	testkit.Receive(t, "the stream waits", m.waiting)
	m.stop()
	for f.lines.Scan() {
	}
	if err := f.lines.Err(); err != nil {
		t.Errorf("the stream ended with %v, want its regular end", err)
	}
}

func TestStreamEndsWhereEventsCannotBeRead(t *testing.T) {
	m := manage(t)
	f := follow(m, "")
	testkit.Receive(t, "the stream waits", m.waiting)
	m.mu.Lock()
	m.fail = errSecret
	m.mu.Unlock()
	m.happen("session.pending")
	for f.lines.Scan() {
		if strings.Contains(f.lines.Text(), "secret") {
			t.Errorf("the stream shows the error: %s", f.lines.Text())
		}
	}
	if err := f.lines.Err(); err != nil {
		t.Errorf("the stream ended with %v, want its regular end", err)
	}
}

// TestStreamToHTTP10 is not cut into chunks, which such a client would take for data.
func TestStreamToHTTP10(t *testing.T) {
	m := manage(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/events/stream HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", key)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || len(response.TransferEncoding) > 0 || !response.Close || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("answered %d, %v, %v; want 200 until the end of the connection", response.StatusCode, response.TransferEncoding, response.Header)
	}
	testkit.Receive(t, "the stream waits", m.waiting)
	m.happen("session.refused")
	f := &follower{t: t, response: response, lines: bufio.NewScanner(response.Body)}
	if event := f.next(); event["event"] != "session.refused" {
		t.Errorf("first = %v", event)
	}
	m.stop()
	for f.lines.Scan() {
	}
	if err := f.lines.Err(); err != nil {
		t.Errorf("the stream ended with %v, want its regular end", err)
	}
}
