package proxy_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

// TestPagesOfOtherOrigins read what the upstream allows them to, whoever caused the poll.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const shop, desk = "https://shop.example", "https://desk.example"
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if origin := r.Header.Get("Origin"); origin != "" && origin != "null" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Expose-Headers", "Age")
			w.Header().Add("Vary", "Accept-Encoding")
			w.Header().Add("Vary", "Origin")
		}
		testkit.Respond(w, 200, testkit.Waiting)
	})
	b := bridge.Start(t, rec.URL, func(s *bridge.Settings) { s.Cache.PendingTTL = 200 * time.Millisecond })
	wantAllowed := func(a testkit.Answer, origin string) {
		t.Helper()
		want := []string{origin}
		if origin == "" {
			want = nil
		}
		if got := a.Header["Access-Control-Allow-Origin"]; a.Status != 200 || !slices.Equal(got, want) {
			t.Errorf("%d allows %q; want %q", a.Status, got, want)
		}
	}
	wantAllowed(b.Poll(token, "sesame-1"), "")
	wantAllowed(b.Poll(token, "sesame-1", "Origin: "+shop), shop)
	if seen := rec.Last(t); seen.Header.Get("Origin") != shop {
		t.Errorf("the poll carried the Origin %q; want the page's", seen.Header.Get("Origin"))
	}
	for range 20 { // whatever window this falls into
		wantAllowed(b.Poll(token, "sesame-1", "Origin: "+shop), shop)
		wantAllowed(b.Poll(token, "sesame-1", "Origin: "+desk), desk)
		wantAllowed(b.Poll(token, "sesame-1"), "")
	}
	a := b.Poll(token, "sesame-1", "Origin: "+desk)
	if vary := a.Header.Values("Vary"); !slices.Contains(vary, "Origin") || len(a.Header["Access-Control-Expose-Headers"]) != 1 {
		t.Errorf("Vary: %q, %v; want Origin, and each field once", vary, a.Header)
	}
	t.Log("an origin that nothing is said about gets nothing, and Vary")
	a = b.Poll(token, "sesame-1", "Origin: null")
	wantAllowed(a, "")
	if a.Header.Get("Vary") != "Origin" {
		t.Errorf("Vary: %q; want Origin", a.Header.Values("Vary"))
	}
	t.Log("two origins, or none that could be, are none")
	for _, fields := range [][]string{{"Origin: " + shop, "Origin: " + desk}, {"Origin: a b"}, {"Origin: "}} {
		wantAllowed(b.Poll(token, "sesame-1", fields...), "")
	}
}

// TestErrorsToPagesOfOtherOrigins carry the fields of the origin if they are known; none
// are invented.
func TestErrorsToPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const shop, desk = "https://shop.example", "https://desk.example"
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if origin := r.Header.Get("Origin"); origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		if r.URL.Path != bridge.StatusPath("fine") {
			panic(http.ErrAbortHandler)
		}
		testkit.Respond(w, 200, testkit.Waiting)
	})
	b := bridge.Start(t, rec.URL)
	if a := b.Poll("fine", "sesame-1", "Origin: "+shop); a.Status != 200 {
		t.Fatalf("answered %d", a.Status)
	}
	if a := b.Poll("broken", "sesame-1", "Origin: "+shop); a.Status != 503 || a.Header.Get("Access-Control-Allow-Origin") != shop || a.Header.Get("Vary") != "Origin" {
		t.Errorf("%d with %v; want 503 that the page may read", a.Status, a.Header)
	}
	if a := b.Poll("broken", "sesame-1", "Origin: "+desk); a.Status != 503 || len(a.Header["Access-Control-Allow-Origin"]) > 0 {
		t.Errorf("%d with %v; want 503, and nothing invented", a.Status, a.Header)
	}
	if a := b.Poll("broken", "sesame-1"); a.Status != 503 || len(a.Header["Access-Control-Allow-Origin"])+len(a.Header["Vary"]) > 0 {
		t.Errorf("%d with %v; want 503, and nothing about origins", a.Status, a.Header)
	}
}
