package upstream_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/upstream"
)

// told is a handler that tells to wait where the path holds a text.
func told(status int, after, path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, path) {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(status)
			return
		}
		respond(200, waiting)(w, r)
	}
}

func wantHeldBack(t *testing.T, c *upstream.Client, v *session.Variant, least, most time.Duration) {
	t.Helper()
	_, err := c.Poll(t.Context(), v, forClient)
	if f := wantFailure(t, err, upstream.HeldBack); !f.NotSent() || f.RetryAfter < least || f.RetryAfter > most {
		t.Errorf("NotSent %t, RetryAfter %v; want true, between %v and %v", f.NotSent(), f.RetryAfter, least, most)
	}
}

// TestRetryAfter: who is told to wait is not asked again, and others are.
func TestRetryAfter(t *testing.T) {
	f := newFlaky()
	var own setup
	c := newClient(t, testkit.Serve(t, f).URL, func(s *setup) { own = *s })
	mine, same := another(t, 0), another(t, 1)
	others := question(t, dialect("marksign"), 0, "", `{"access_token":"another"}`)

	f.set(told(429, "30", "session-0"))
	_, err := c.Poll(t.Context(), mine, forClient)
	if f := wantFailure(t, err, upstream.SlowDown); f.NotSent() || f.RetryAfter != 30*time.Second || f.Answer == nil {
		t.Errorf("429: NotSent %t, RetryAfter %v, Answer %v; want what the upstream said", f.NotSent(), f.RetryAfter, f.Answer)
	}
	seen := f.requests.Load()
	for _, v := range []*session.Variant{mine, same} { // of this credential
		wantHeldBack(t, c, v, 20*time.Second, 30*time.Second)
	}
	if f.requests.Load() != seen {
		t.Error("the upstream was asked before the time")
	}
	if _, err := c.Poll(t.Context(), others, forClient); err != nil {
		t.Errorf("another credential: %v", err)
	}
	response, err := c.Forward(request(t, c, "GET", "/session-1", nil), nil)
	if err != nil {
		t.Fatalf("what passes through: %v", err)
	}
	response.Body.Close()
	if got := testkit.Metrics(t, own.registry)["pollbridge_upstream_requests_total{smartid-sign,held_back}"]; got != 2 {
		t.Errorf("%v are counted as held back; want 2", got)
	}
	wantBreaker(t, c, "closed")
}

func TestRetryAfterOfThe503s(t *testing.T) {
	f := newFlaky()
	c := newClient(t, testkit.Serve(t, f).URL)
	for session := range 10 { // that keep the breaker closed
		c.Poll(t.Context(), another(t, 100+session), forClient)
	}
	f.set(told(503, "3600", "session-"))
	for session := range 3 {
		_, err := c.Poll(t.Context(), another(t, session), forClient)
		if f := wantFailure(t, err, upstream.Server); f.RetryAfter != time.Hour {
			t.Errorf("RetryAfter %v; want an hour", f.RetryAfter)
		}
		wantHeldBack(t, c, another(t, session), 50*time.Second, time.Minute)
		if session < 2 {
			if _, err := c.Poll(t.Context(), asked(t), forClient); err != nil {
				t.Errorf("another session: %v", err)
			}
		}
	}
	wantHeldBack(t, c, asked(t), 50*time.Second, time.Minute) // the whole upstream
}

// TestRetryAfterAsItComes reads both forms, by the upstream's own clock.
func TestRetryAfterAsItComes(t *testing.T) {
	for _, c := range []struct {
		status int
		header []string
		want   time.Duration
	}{
		{429, []string{"Retry-After: 8"}, 8 * time.Second},
		{429, []string{"Date: Mon, 01 Jan 2001 00:00:00 GMT", "Retry-After: Mon, 01 Jan 2001 00:00:20 GMT"}, 20 * time.Second},
		{503, []string{"Date: Mon, 01 Jan 2001 00:00:20 GMT", "Retry-After: Mon, 01 Jan 2001 00:00:00 GMT"}, time.Second},
		{429, []string{"Retry-After: 0"}, time.Second},
		{429, []string{"Retry-After: -8"}, time.Second},
		{429, []string{"Retry-After: soon"}, time.Second},
		{429, []string{"Retry-After: 99999999999999999999"}, 24 * time.Hour},
		{429, []string{"Retry-After: 2000000000"}, 24 * time.Hour},
		{500, []string{"Retry-After: 8"}, time.Second},
		{403, []string{"Retry-After: 8"}, time.Second},
		{429, nil, time.Second},
	} {
		s := testkit.NewRawUpstream(t, answering(answer(c.status, "x", c.header...)))
		_, err := newClient(t, s.URL).Poll(t.Context(), asked(t), forClient)
		if f, ok := err.(*upstream.Failure); !ok || f.RetryAfter != c.want {
			t.Errorf("%d %q: %+v; want RetryAfter %v", c.status, c.header, err, c.want)
		}
	}
}
