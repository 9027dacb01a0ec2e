package proxy_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

// TestAnswersThatAreNoObservation: the upstream is asked once a window, and everybody is
// told the same: what it said, unless it failed.
func TestAnswersThatAreNoObservation(t *testing.T) {
	t.Parallel()
	const page = "<html>no</html>"
	for _, test := range []struct {
		name   string
		status int // of the upstream
		header map[string]string
		body   string
		want   int
		told   bool // what the upstream said
	}{
		{"a page that forbids", 403, map[string]string{"Content-Type": "text/html"}, page, 403, true},
		{"a page that knows nothing", 404, map[string]string{"Content-Type": "text/html"}, page, 404, true},
		{"too many requests", 429, map[string]string{"Retry-After": "1"}, "slow down", 429, true},
		{"a redirect", 302, map[string]string{"Location": "https://other.example/login"}, "", 302, true},
		{"an error of the server", 500, nil, page, 503, false},
		{"unavailable", 503, map[string]string{"Retry-After": "7"}, page, 503, false},
		{"a transient code", 200, nil, `{"status":"error","error_code":50001}`, 503, false},
		{"a page instead of JSON", 200, map[string]string{"Content-Type": "text/html"}, page, 503, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.Header().Set("Set-Cookie", "sid=sesame-cookie")
				w.WriteHeader(test.status)
				w.Write([]byte(test.body))
			})
			b := bridge.Start(t, rec.URL, func(s *bridge.Settings) { s.Cache.PendingTTL = time.Minute })
			var clients sync.WaitGroup
			for range 10 {
				clients.Go(func() {
					for range 5 {
						a := b.Poll(token, "sesame-1")
						told := a.Body == test.body
						if a.Status != test.want || told != test.told || !told && !strings.Contains(a.Body, `"error_code":50002`) {
							t.Errorf("%d %q; want %d, what the upstream said: %v", a.Status, a.Body, test.want, test.told)
						}
						for name, value := range test.header {
							if (test.told || name == "Retry-After") && a.Header.Get(name) != value {
								t.Errorf("%s = %q; want %q", name, a.Header.Get(name), value)
							}
						}
						if a.Header.Get("Set-Cookie") != "" {
							t.Errorf("a cookie for one client was given to another: %v", a.Header)
						}
						if a.Header.Get("Cache-Control") != "no-store" && test.told {
							t.Errorf("Cache-Control = %q; want no-store", a.Header.Get("Cache-Control"))
						}
					}
				})
			}
			clients.Wait()
			if n := rec.Count(); n != 1 {
				t.Errorf("the upstream was asked %d times in one window", n)
			}
		})
	}
}

// TestAgeAndCaches: who keeps answers in front of us must not keep one that says waiting.
func TestAgeAndCaches(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		switch r.URL.Path {
		case bridge.StatusPath("aged"):
			w.Header().Set("Age", "100")
		case bridge.StatusPath("says"):
			w.Header().Set("Cache-Control", "private, max-age=1")
		case bridge.StatusPath("expires"):
			w.Header().Set("Expires", "0")
		}
		testkit.Respond(w, 200, testkit.Waiting)
	})
	b := bridge.Start(t, rec.URL, func(s *bridge.Settings) { s.Cache.PendingTTL = time.Minute })
	for _, test := range []struct {
		token, control string
	}{
		{"plain", "no-store"}, {"aged", "no-store"}, {"says", "private, max-age=1"}, {"expires", ""},
	} {
		for i, status := range []string{"pollbridge; fwd=miss; ttl=59", "pollbridge; hit; ttl=59"} {
			a := b.Poll(test.token, "sesame-1")
			if a.Header.Get("Cache-Control") != test.control || a.Header.Get("Cache-Status") != status {
				t.Errorf("%s, request %d: Cache-Control %q, Cache-Status %q; want %q, %q", test.token, i, a.Header.Get("Cache-Control"), a.Header.Get("Cache-Status"), test.control, status)
			}
			if age := a.Header.Values("Age"); len(age) != 1 || (test.token == "aged") != strings.HasPrefix(age[0], "10") {
				t.Errorf("%s: Age %q; want the upstream's and ours", test.token, age)
			}
		}
	}
}

// TestOtherVariantIsAnswered where the upstream gives a final answer only once.
func TestOtherVariantIsAnswered(t *testing.T) {
	t.Parallel()
	var once sync.Once
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		answered := false
		once.Do(func() {
			answered = true
			testkit.Respond(w, 200, `{"status":"ok","file":{"content":"signed"}}`)
		})
		if !answered {
			testkit.Respond(w, 404, `{"status":"error","message":"not found","error_code":40402}`)
		}
	})
	b := bridge.Start(t, rec.URL)
	first := b.Poll(token, "sesame-1")
	second := testkit.Do(t, "POST", b.URL+bridge.StatusPath(token), `{"access_token":"sesame-1","page":2}`)
	if first.Status != 200 || second.Status != 200 || second.Body != first.Body || !strings.Contains(second.Header.Get("Cache-Status"), "detail=other-variant") {
		t.Errorf("the other variant: %d %q, %q; want the final answer, and that it is another's", second.Status, second.Body, second.Header.Get("Cache-Status"))
	}
	if a := testkit.Do(t, "POST", b.URL+bridge.StatusPath(token), `{"access_token":"sesame-2","page":2}`); a.Status != 404 {
		t.Errorf("another caller: %d %q; want 404", a.Status, a.Body)
	}
}
