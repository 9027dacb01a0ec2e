package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pollbridge/admin/api"
	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
	"pollbridge/webhook"
)

const mib = 1 << 20

// held is how many bytes of answers the metric says are held.
func (m *managed) held() float64 {
	m.t.Helper()
	line := regexp.MustCompile(`(?m)^pollbridge_admin_response_bytes_held (\S+)$`).FindStringSubmatch(get(m.t, m.url+"/metrics").Body)
	if line == nil {
		m.t.Fatal("there is no such metric")
	}
	n, err := strconv.ParseFloat(line[1], 64)
	testkit.NoError(m.t, err)
	return n
}

// slow makes requests whose answers arrive as they are read, and hardly before.
func (m *managed) slow() func(path string) (*http.Response, func()) {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	m.t.Cleanup(transport.CloseIdleConnections)
	return func(path string) (*http.Response, func()) {
		ctx, leave := context.WithTimeout(m.t.Context(), testkit.Timeout)
		m.t.Cleanup(leave)
		request, err := http.NewRequestWithContext(ctx, "GET", m.url+path, nil)
		testkit.NoError(m.t, err)
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := transport.RoundTrip(request)
		testkit.NoError(m.t, err)
		return response, func() { leave(); response.Body.Close() }
	}
}

// happenLarge adds events whose payloads have a size.
func (m *managed) happenLarge(count, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range count {
		n := len(m.events) + 1
		m.events = append(m.events, webhook.Event{
			ID: id("evt_", n), Cursor: strconv.Itoa(n), Type: event.TypePending, Payload: fmt.Appendf(nil, `{"x":"%s"}`, strings.Repeat("x", size)),
		})
	}
}

func (m *managed) answerWith(id string, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = append(m.sessions, watch.Session{ID: id, State: session.Succeeded, End: watch.Final, Changed: someTime})
	m.answers[id] = &session.Observation{At: someTime, Content: &session.Content{Status: 200, Body: body}}
}

const fromTheFirst = "?after=ZTA" // a cursor before all events

// TestAnswersThatNobodyReads are counted until they are sent, or nobody can read them.
func TestAnswersThatNobodyReads(t *testing.T) {
	m := manage(t)
	until := func(what string, holds func(n float64) bool) {
		t.Helper()
		var n float64
		defer func() {
			if t.Failed() {
				t.Logf("%v bytes are held", n)
			}
		}()
		testkit.Eventually(t, what, func() bool { n = m.held(); return holds(n) })
	}
	const size = 16 * mib // more than sockets take, if the client's takes little
	ask := m.slow()
	m.answerWith("ses_large", make([]byte, size))
	m.happenLarge(1, size)
	for _, path := range []string{"/v1/sessions/ses_large/response", "/v1/events", "/v1/events/stream" + fromTheFirst} {
		for _, reads := range []bool{false, true} {
			response, leave := ask(path)
			until(path, func(n float64) bool { return n >= size && n < size+mib })
			if reads {
				if _, err := io.CopyN(io.Discard, response.Body, size); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				until(path+" was read", func(n float64) bool { return n < mib })
			}
			leave()
			until(path+" has no reader", func(n float64) bool { return n == 0 })
		}
	}
}

// TestFinalAnswersWaitForRoom where many clients do not read theirs.
func TestFinalAnswersWaitForRoom(t *testing.T) {
	m := manage(t)
	const size = 16 * mib
	m.answerWith("ses_large", make([]byte, size))
	ask := m.slow()
	leaving := make(chan func(), 20)
	for range cap(leaving) {
		go func() {
			_, leave := ask("/v1/sessions/ses_large/response")
			leaving <- leave
		}()
	}
	var most float64
	for n := range cap(leaving) {
		leave := testkit.Receive(t, fmt.Sprintf("answer %d begins when those before it are gone", n+1), leaving)
		most = max(most, m.held())
		if n >= 3 { // four are under way
			leave()
		} else {
			defer leave()
		}
	}
	if most < 4*size || most > 6*size {
		t.Errorf("up to %v MiB were held; want 64, and two that wait", most/mib)
	}
	if a := m.do("GET", "/v1/stats", ""); a.Status != 200 {
		t.Errorf("another call is answered %d", a.Status)
	}
}

// TestStreamsHoldLittle for clients that do not read.
func TestStreamsHoldLittle(t *testing.T) {
	m := manage(t)
	m.happenLarge(100, 64<<10)
	ask := m.slow()
	const readers = 8
	var streams []*bufio.Scanner
	for range readers {
		response, leave := ask("/v1/events/stream" + fromTheFirst)
		defer leave()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, mib)
		streams = append(streams, lines)
	}
	for range 10 {
		for _, lines := range streams {
			(&follower{t: t, lines: lines}).next()
		}
		if held := m.held(); held > readers*mib/2 {
			t.Fatalf("%v MiB are held for %d readers", held/mib, readers)
		}
	}
	t.Log("who reads on gets all of them")
	for n := range 90 {
		if e := (&follower{t: t, lines: streams[0]}).next(); !strings.Contains(e["data"], id("evt_", n+11)) {
			t.Fatalf("event %d is %.80s", n+11, e["data"])
		}
	}
}

// TestLargeEventsMakeShortPages and pages that nobody reads are refused at last.
func TestLargeEventsMakeShortPages(t *testing.T) {
	m := manage(t)
	const all = 60
	m.happenLarge(all, 64<<10)
	seen := 0
	for q := (api.EventQuery{Limit: 200, Wait: time.Second}); seen < all; {
		page, err := m.api.Events(t.Context(), q)
		testkit.NoError(t, err)
		if n := len(page.Items); n < min(8, all-seen) || n > 24 || page.Items[0].ID != id("evt_", seen+1) {
			t.Fatalf("after %d events come %d; want about a MiB of those that follow", seen, n)
		}
		seen += len(page.Items)
		q.After = page.Next
	}
	ask := m.slow()
	for n := 1; ; n++ {
		response, leave := ask("/v1/events?limit=200")
		defer leave()
		if response.StatusCode == 200 && n < 100 {
			continue
		}
		if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" || n < 30 || m.held() > 64*mib {
			t.Errorf("page %d is answered %d %v, %v MiB are held; want 503 at 64 MiB", n, response.StatusCode, response.Header, m.held()/mib)
		}
		break
	}
	if a := m.do("GET", "/v1/stats", ""); a.Status != 200 {
		t.Errorf("a small answer is %d", a.Status)
	}
}
