package proxy_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
	"pollbridge/session"
	"pollbridge/simulator"
)

// dialect asks for a session in the shape of one family of APIs.
type dialect struct {
	name     string
	endpoint simulator.Endpoint
	ask      func(t testing.TB, url, token string) testkit.Answer
	pending  string // a part of the answer
	use      func(*bridge.Settings)
}

func dialects(t testing.TB) []dialect {
	bearer, err := session.NewEndpoint(session.EndpointConfig{
		Name: "document", Method: "GET", Path: "/document/{token}/check-status", Credential: "header:Authorization",
		Status: "/data/document_status", Pending: []string{"pending"}, Succeeded: []string{"signed"}, Failed: []string{"failed"},
	})
	testkit.NoError(t, err)
	builtIn := func(name string) func(*bridge.Settings) {
		return func(s *bridge.Settings) { s.Endpoints, _ = session.Dialect(name) }
	}
	get := func(path string) func(testing.TB, string, string) testkit.Answer {
		return func(t testing.TB, url, token string) testkit.Answer {
			return testkit.Do(t, "GET", url+strings.ReplaceAll(path, "{token}", token), "")
		}
	}
	return []dialect{
		{"MarkSign", simulator.SmartIDSign, func(t testing.TB, url, token string) testkit.Answer {
			return testkit.Do(t, "POST", url+"/en"+bridge.StatusPath(token), bridge.StatusBody("sesame-1"), "Content-Type: application/json")
		}, `"waiting"`, builtIn("marksign")},
		{"MarkSign's PHP client", simulator.SmartIDSign, func(t testing.TB, url, token string) testkit.Answer {
			return testkit.Do(t, "POST", url+bridge.StatusPath(token), `{"access_token":"sesame-1","token":"`+token+`"}`,
				"Content-Type: application/json", "Accept: */*", "User-Agent: Symfony HttpClient/Curl")
		}, `"waiting"`, builtIn("marksign")},
		{"MarkSign, mobile hash", simulator.MobileSignHash, func(t testing.TB, url, token string) testkit.Answer {
			return testkit.Do(t, "POST", url+"/mobile/sign-hash/status/"+token+".json", bridge.StatusBody("sesame-1"))
		}, `"waiting"`, builtIn("marksign")},
		{"Dokobit", simulator.SmartIDSign, get("/smartid/sign/status/{token}.json?access_token=sesame-1"), `"waiting"`, builtIn("dokobit")},
		{"Elpako", simulator.MobileSign, get("/api/v1/mobile/sign/status/{token}.json?access_token=sesame-1"), `"waiting"`, builtIn("elpako")},
		{"a custom bearer endpoint", simulator.SmartIDSign, func(t testing.TB, url, token string) testkit.Answer {
			return testkit.Do(t, "GET", url+"/document/"+token+"/check-status", "", "Authorization: Bearer sesame-1")
		}, `"pending"`, func(s *bridge.Settings) { s.Endpoints = []session.Endpoint{bearer} }},
	}
}

func TestEveryDialectEndToEnd(t *testing.T) {
	t.Parallel()
	for _, d := range dialects(t) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			sim, upstreamURL := testkit.Simulate(t, nil)
			b := bridge.Start(t, upstreamURL, d.use, func(s *bridge.Settings) {
				s.Cache.PendingTTL = 900 * time.Millisecond
				s.Interval = s.Cache.PendingTTL
			})
			signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Endpoint: d.endpoint, Outcome: simulator.Waiting})
			testkit.NoError(t, err)

			first := d.ask(t, b.URL, signing.Token)
			second := d.ask(t, b.URL, signing.Token)
			for i, a := range []testkit.Answer{first, second} {
				if a.Status != 200 || !strings.Contains(a.Body, d.pending) {
					t.Fatalf("poll %d = %d %q, %v; want it pending", i+1, a.Status, a.Body, a.Err)
				}
			}
			wantCacheStatus(t, "the first poll", first, "pollbridge; fwd=miss; ttl=0")
			wantCacheStatus(t, "the second poll", second, "pollbridge; hit; ttl=0")
			if asked, _ := sim.Session(signing.Token); asked.Polls != 1 {
				t.Errorf("the upstream was polled %d times within a window, want once", asked.Polls)
			}

			testkit.NoError(t, sim.Finish(signing.Token, simulator.Succeeded))
			var final testkit.Answer
			testkit.Eventually(t, "the signing is done", func() bool {
				final = d.ask(t, b.URL, signing.Token)
				return !strings.Contains(final.Body, d.pending)
			})
			direct := d.ask(t, upstreamURL, signing.Token)
			if final.Status != direct.Status || final.Body != direct.Body {
				t.Errorf("final answer = %d, %d bytes; the upstream's is %d, %d bytes", final.Status, len(final.Body), direct.Status, len(direct.Body))
			}
			for name := range direct.Header {
				if name != "Date" && fmt.Sprint(final.Header[name]) != fmt.Sprint(direct.Header[name]) {
					t.Errorf("%s = %q; the upstream's is %q", name, final.Header[name], direct.Header[name])
				}
			}
			if got := sim.Stats().Calls; got != sim.Stats().Polls {
				t.Errorf("%d calls, of which %d polls: something passed through", got, sim.Stats().Polls)
			}
		})
	}
}

// wantCacheStatus compares but for the digits of the time to live, where want says 0
// for less than a second.
func wantCacheStatus(t testing.TB, what string, a testkit.Answer, want string) {
	t.Helper()
	if got := a.Header.Get("Cache-Status"); got != want {
		t.Errorf("%s: Cache-Status = %q, want %q", what, got, want)
	}
}

func TestAnswerIsTheUpstreams(t *testing.T) {
	t.Parallel()
	const odd = "\r\n {\"status\" : \"waiting\",\t\"future\":[1,2,{\"é\":\"\\u00e9\\/\"}], \"n\":1.50e+3}\n\n"
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		h := w.Header()
		h.Add("X-Vendor", "one")
		h.Add("X-Vendor", "two")
		h.Set("Cache-Status", "vendor; fwd=miss")
		h.Set("Set-Cookie", "sid="+bridge.SecretMark+"1")
		h.Set("X-Request-Id", "the-upstreams-own")
		h.Set("Connection", "X-Hop, keep-alive")
		h.Set("X-Hop", "one hop")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Proxy-Authenticate", "Basic")
		h.Set("Server", "vendor/1.0")
		h.Set("Cache-Control", "no-cache, private")
		h.Set("Content-Type", "application/json")
		w.WriteHeader(202)
		w.Write([]byte(odd))
	})
	b := bridge.Start(t, rec.URL)
	for _, how := range []string{"miss", "hit"} {
		a := b.Poll(token, "sesame-1")
		if a.Status != 202 || a.Body != odd {
			t.Errorf("%s: %d %q; want 202 %q", how, a.Status, a.Body, odd)
		}
		for name, want := range map[string][]string{
			"X-Vendor": {"one", "two"}, "Content-Type": {"application/json"}, "Server": {"vendor/1.0"}, "Cache-Control": {"no-cache, private"},
			"Set-Cookie": nil, "X-Hop": nil, "Keep-Alive": nil, "Proxy-Authenticate": nil, "Connection": nil, "Age": {"0"},
			"Content-Length": {strconv.Itoa(len(odd))},
		} {
			if got := a.Header[name]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %s = %q, want %q", how, name, got, want)
			}
		}
		if got := a.Header["X-Request-Id"]; len(got) != 1 || got[0] == "the-upstreams-own" {
			t.Errorf("%s: X-Request-Id = %q; want one, of this request", how, got)
		}
		if got := a.Header["Cache-Status"]; len(got) != 2 || got[0] != "vendor; fwd=miss" || !strings.HasPrefix(got[1], "pollbridge; ") {
			t.Errorf("%s: Cache-Status = %q; want the vendor's line, then ours", how, got)
		}
	}
	if n := rec.Count(); n != 1 {
		t.Errorf("the upstream saw %d requests, want 1", n)
	}
}

func TestAbsentContentTypeStaysAbsent(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header()["Content-Type"] = nil
		w.Write([]byte(testkit.Waiting))
	})
	b := bridge.Start(t, rec.URL)
	for _, path := range []string{bridge.StatusPath(token), "/anything"} {
		if a := testkit.Do(t, "POST", b.URL+path, bridge.StatusBody("sesame-1")); len(a.Header["Content-Type"]) > 0 || a.Body != testkit.Waiting {
			t.Errorf("%s: Content-Type = %q, body %q; want none, as the upstream sent it", path, a.Header["Content-Type"], a.Body)
		}
	}
}

func TestWhatTheUpstreamIsAsked(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	testkit.Do(t, "POST", b.URL+"/en"+bridge.StatusPath(token)+"?lang=%65n&z=1&a=2", " { \"token\":\""+token+`","zz":1,"access_token":"sesame-\u0031","aa":null}`,
		"Content-Type: application/json", "Cookie: sid=1", "X-Forwarded-For: 192.0.2.9", "Accept-Encoding: gzip", "X-Other: 1", "X-HTTP-Method-Override: DELETE")
	seen := rec.Last(t)
	if want := "/en" + bridge.StatusPath(token) + "?a=2&lang=en&z=1"; seen.Method != "POST" || seen.Target != want {
		t.Errorf("the upstream saw %s %s, want POST %s", seen.Method, seen.Target, want)
	}
	if want := `{"access_token":"sesame-1","aa":null,"zz":1}`; seen.Body != want {
		t.Errorf("the upstream read %s, want %s", seen.Body, want)
	}
	for name := range seen.Header {
		switch name {
		case "Accept", "Content-Type", "Content-Length", "User-Agent":
		default:
			t.Errorf("the upstream was sent %s: %q of a client that shares the answer with others", name, seen.Header[name])
		}
	}
	if want := strings.TrimPrefix(rec.URL, "http://"); seen.Host != want {
		t.Errorf("Host = %q, want %q", seen.Host, want)
	}
}

func TestCacheStatus(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var mode sync.Map
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		if m, _ := mode.Load("mode"); m == "down" {
			testkit.Respond(w, 500, `{"status":"error","error_code":50000}`)
			return
		}
		<-gate
		testkit.Respond(w, 200, testkit.Waiting)
	})
	b := bridge.Start(t, rec.URL, func(s *bridge.Settings) { s.Cache.PendingTTL = 500 * time.Millisecond })

	t.Log("two clients at once: one asks, one shares")
	answers := make(chan testkit.Answer, 2)
	go func() { answers <- b.Poll(token, "sesame-1") }()
	testkit.Eventually(t, "the upstream is asked", func() bool { return rec.Count() > 0 })
	go func() { answers <- b.Poll(token, "sesame-1") }()
	// Nothing tells from outside that the second one waits too; if it does not yet, it gets a hit.
	time.AfterFunc(100*time.Millisecond, func() { close(gate) })
	got := map[string]int{}
	for range 2 {
		got[(<-answers).Header.Get("Cache-Status")]++
	}
	if got["pollbridge; fwd=miss; ttl=0"] != 1 || got["pollbridge; fwd=miss; collapsed; ttl=0"]+got["pollbridge; hit; ttl=0"] != 1 {
		t.Errorf("Cache-Status = %v; want a miss, and a collapsed one", got)
	}

	t.Log("after the window, the old answer had to be replaced")
	testkit.Eventually(t, "the window is over", func() bool {
		return b.Poll(token, "sesame-1").Header.Get("Cache-Status") == "pollbridge; fwd=stale; ttl=0"
	})

	t.Log("while the upstream fails, the old answer is given")
	mode.Store("mode", "down")
	testkit.Eventually(t, "a stale answer", func() bool {
		a := b.Poll(token, "sesame-1")
		got := a.Header.Get("Cache-Status")
		return a.Body == testkit.Waiting && strings.HasPrefix(got, "pollbridge; fwd=stale; ttl=-") && strings.HasSuffix(got, "; detail=server_error") ||
			strings.HasSuffix(got, "; detail=transient")
	})
	if a := b.Poll(token, "sesame-1", "Prefer: wait=0"); a.Body != testkit.Waiting {
		t.Errorf("with Prefer: wait=0 = %d %q, want waiting", a.Status, a.Body)
	}
}

func TestNothingToServe(t *testing.T) {
	t.Parallel()
	sim, upstreamURL := testkit.Simulate(t, nil)
	for _, test := range []struct {
		fault simulator.Mode
		want  int
	}{
		{simulator.Error500, 503}, {simulator.Error502, 503}, {simulator.Transient, 503}, {simulator.Hang, 504}, {simulator.Reset, 503},
		{simulator.Garbage, 503}, {simulator.HTML, 503}, {simulator.Empty, 503},
	} {
		testkit.NoError(t, sim.SetFault(simulator.Fault{Mode: test.fault}))
		// One each: the circuit must not open.
		b := bridge.Start(t, upstreamURL, func(s *bridge.Settings) { s.Upstream.Timeout = 1500 * time.Millisecond })
		a := b.Poll("token-"+string(test.fault)+"-"+bridge.TokenMark, "sesame-1")
		if a.Status != test.want || !strings.HasPrefix(a.Body, `{"status":"error","message":"`) || !strings.HasSuffix(a.Body, `","error_code":50002}`) {
			t.Errorf("%s: %d %q; want %d with code 50002", test.fault, a.Status, a.Body, test.want)
		}
		if a.Header.Get("Retry-After") == "" || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: header %v; want Retry-After, application/json, X-Request-Id", test.fault, a.Header)
		}
	}
	t.Log("a redirect is told, and not followed")
	testkit.NoError(t, sim.SetFault(simulator.Fault{Mode: simulator.Redirect}))
	b := bridge.Start(t, upstreamURL)
	if a := b.Poll(token, "sesame-1"); a.Status < 300 || a.Status > 399 {
		t.Errorf("a redirect: %d; want it as it is", a.Status)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	seen := map[string]bool{}
	for _, path := range []string{bridge.StatusPath(token), "/other"} {
		for range 3 {
			id := testkit.Do(t, "POST", b.URL+path, bridge.StatusBody("sesame-1")).Header.Get("X-Request-Id")
			if len(id) < 16 || seen[id] {
				t.Errorf("%s: X-Request-Id = %q; want one that nobody had", path, id)
			}
			seen[id] = true
		}
		for _, own := range []string{"a", "4bf92f3577b34da6a3ce929d0e0e4736", strings.Repeat("x", 128), `"quoted",;=`} {
			if id := testkit.Do(t, "POST", b.URL+path, bridge.StatusBody("sesame-1"), "X-Request-Id: "+own).Header.Get("X-Request-Id"); id != own {
				t.Errorf("%s: X-Request-Id = %q, want the client's own %q", path, id, own)
			}
		}
		for _, hostile := range []string{"", "a b", "a\tb", strings.Repeat("x", 129), "\xff", "é"} {
			id := testkit.Do(t, "POST", b.URL+path, bridge.StatusBody("sesame-1"), "X-Request-Id: "+hostile).Header.Get("X-Request-Id")
			if id == hostile || id == "" {
				t.Errorf("%s: X-Request-Id = %q, want another than %q", path, id, hostile)
			}
		}
	}
	a := testkit.Do(t, "GET", b.URL+"/other", "", "X-Request-Id: mine")
	if got := rec.Last(t).Header["X-Request-Id"]; len(got) != 1 || got[0] != "mine" || a.Header.Get("X-Request-Id") != "mine" {
		t.Errorf("the upstream got X-Request-Id %q, want the client's", got)
	}
	if a := testkit.Do(t, "GET", b.URL+"/other", "", "X-Request-Id: mine", "X-Request-Id: thine"); len(a.Header["X-Request-Id"]) != 1 {
		t.Errorf("two ids: answered with %q, want one", a.Header["X-Request-Id"])
	}
}
