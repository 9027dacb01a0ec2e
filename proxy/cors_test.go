package proxy_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestPagesOfOtherOrigins read what the upstream allows them to, whoever caused the poll.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const shop, desk = "https://shop.example", "https://desk.example"
	rec := record(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if origin := r.Header.Get("Origin"); origin != "" && origin != "null" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Expose-Headers", "Age")
			w.Header().Add("Vary", "Accept-Encoding")
			w.Header().Add("Vary", "Origin")
		}
		respond(w, 200, waiting)
	})
	b := serve(t, rec.url, func(s *settings) { s.cache.PendingTTL = 200 * time.Millisecond })
	wantAllowed := func(a answer, origin string) {
		t.Helper()
		want := []string{origin}
		if origin == "" {
			want = nil
		}
		if got := a.header["Access-Control-Allow-Origin"]; a.status != 200 || !slices.Equal(got, want) {
			t.Errorf("%d allows %q; want %q", a.status, got, want)
		}
	}
	wantAllowed(b.poll(token, "sesame-1"), "")
	wantAllowed(b.poll(token, "sesame-1", "Origin: "+shop), shop)
	if seen := rec.last(t); seen.header.Get("Origin") != shop {
		t.Errorf("the poll carried the Origin %q; want the page's", seen.header.Get("Origin"))
	}
	for range 20 { // whatever window this falls into
		wantAllowed(b.poll(token, "sesame-1", "Origin: "+shop), shop)
		wantAllowed(b.poll(token, "sesame-1", "Origin: "+desk), desk)
		wantAllowed(b.poll(token, "sesame-1"), "")
	}
	a := b.poll(token, "sesame-1", "Origin: "+desk)
	if vary := a.header.Values("Vary"); !slices.Contains(vary, "Origin") || len(a.header["Access-Control-Expose-Headers"]) != 1 {
		t.Errorf("Vary: %q, %v; want Origin, and each field once", vary, a.header)
	}
	t.Log("an origin that nothing is said about gets nothing, and Vary")
	a = b.poll(token, "sesame-1", "Origin: null")
	wantAllowed(a, "")
	if a.header.Get("Vary") != "Origin" {
		t.Errorf("Vary: %q; want Origin", a.header.Values("Vary"))
	}
	t.Log("two origins, or none that could be, are none")
	for _, fields := range [][]string{{"Origin: " + shop, "Origin: " + desk}, {"Origin: a b"}, {"Origin: "}} {
		wantAllowed(b.poll(token, "sesame-1", fields...), "")
	}
}

// TestErrorsToPagesOfOtherOrigins carry the fields of the origin if they are known; none
// are invented.
func TestErrorsToPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const shop, desk = "https://shop.example", "https://desk.example"
	rec := record(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if origin := r.Header.Get("Origin"); origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		if r.URL.Path != statusPath("fine") {
			panic(http.ErrAbortHandler)
		}
		respond(w, 200, waiting)
	})
	b := serve(t, rec.url)
	if a := b.poll("fine", "sesame-1", "Origin: "+shop); a.status != 200 {
		t.Fatalf("answered %d", a.status)
	}
	if a := b.poll("broken", "sesame-1", "Origin: "+shop); a.status != 503 || a.header.Get("Access-Control-Allow-Origin") != shop || a.header.Get("Vary") != "Origin" {
		t.Errorf("%d with %v; want 503 that the page may read", a.status, a.header)
	}
	if a := b.poll("broken", "sesame-1", "Origin: "+desk); a.status != 503 || len(a.header["Access-Control-Allow-Origin"]) > 0 {
		t.Errorf("%d with %v; want 503, and nothing invented", a.status, a.header)
	}
	if a := b.poll("broken", "sesame-1"); a.status != 503 || len(a.header["Access-Control-Allow-Origin"])+len(a.header["Vary"]) > 0 {
		t.Errorf("%d with %v; want 503, and nothing about origins", a.status, a.header)
	}
}
