package proxy_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/session"
	"pollbridge/simulator"
)

// dialect asks for a session in the shape of one family of APIs.
type dialect struct {
	name     string
	endpoint simulator.Endpoint
	ask      func(t testing.TB, url, token string) answer
	pending  string // a part of the answer
	use      func(*settings)
}

func dialects(t testing.TB) []dialect {
	bearer, err := session.NewEndpoint(session.EndpointConfig{
		Name: "document", Method: "GET", Path: "/document/{token}/check-status", Credential: "header:Authorization",
		Status: "/data/document_status", Pending: []string{"pending"}, Succeeded: []string{"signed"}, Failed: []string{"failed"},
	})
	fatal(t, err)
	builtIn := func(name string) func(*settings) {
		return func(s *settings) { s.endpoints, _ = session.Dialect(name) }
	}
	get := func(path string) func(testing.TB, string, string) answer {
		return func(t testing.TB, url, token string) answer {
			return do(t, "GET", url+strings.ReplaceAll(path, "{token}", token), "")
		}
	}
	return []dialect{
		{"MarkSign", simulator.SmartIDSign, func(t testing.TB, url, token string) answer {
			return do(t, "POST", url+"/en"+statusPath(token), asking("sesame-1"), "Content-Type: application/json")
		}, `"waiting"`, builtIn("marksign")},
		{"MarkSign's PHP client", simulator.SmartIDSign, func(t testing.TB, url, token string) answer {
			return do(t, "POST", url+statusPath(token), `{"access_token":"sesame-1","token":"`+token+`"}`,
				"Content-Type: application/json", "Accept: */*", "User-Agent: Symfony HttpClient/Curl")
		}, `"waiting"`, builtIn("marksign")},
		{"MarkSign, mobile hash", simulator.MobileSignHash, func(t testing.TB, url, token string) answer {
			return do(t, "POST", url+"/mobile/sign-hash/status/"+token+".json", asking("sesame-1"))
		}, `"waiting"`, builtIn("marksign")},
		{"Dokobit", simulator.SmartIDSign, get("/smartid/sign/status/{token}.json?access_token=sesame-1"), `"waiting"`, builtIn("dokobit")},
		{"Elpako", simulator.MobileSign, get("/api/v1/mobile/sign/status/{token}.json?access_token=sesame-1"), `"waiting"`, builtIn("elpako")},
		{"a custom bearer endpoint", simulator.SmartIDSign, func(t testing.TB, url, token string) answer {
			return do(t, "GET", url+"/document/"+token+"/check-status", "", "Authorization: Bearer sesame-1")
		}, `"pending"`, func(s *settings) { s.endpoints = []session.Endpoint{bearer} }},
	}
}

func TestEveryDialectEndToEnd(t *testing.T) {
	t.Parallel()
	for _, d := range dialects(t) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			sim, upstreamURL := simulate(t, nil)
			b := serve(t, upstreamURL, d.use, func(s *settings) {
				s.cache.PendingTTL = 200 * time.Millisecond
				s.interval = s.cache.PendingTTL
			})
			signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Endpoint: d.endpoint, Outcome: simulator.Waiting})
			fatal(t, err)

			first := d.ask(t, b.url, signing.Token)
			second := d.ask(t, b.url, signing.Token)
			for i, a := range []answer{first, second} {
				if a.status != 200 || !strings.Contains(a.body, d.pending) {
					t.Fatalf("poll %d = %d %q, %v; want it pending", i+1, a.status, a.body, a.err)
				}
			}
			wantCacheStatus(t, "the first poll", first, "pollbridge; fwd=miss; ttl=0")
			wantCacheStatus(t, "the second poll", second, "pollbridge; hit; ttl=0")
			if asked, _ := sim.Session(signing.Token); asked.Polls != 1 {
				t.Errorf("the upstream was polled %d times within a window, want once", asked.Polls)
			}

			fatal(t, sim.Finish(signing.Token, simulator.Succeeded))
			var final answer
			eventually(t, "the signing is done", func() bool {
				final = d.ask(t, b.url, signing.Token)
				return !strings.Contains(final.body, d.pending)
			})
			direct := d.ask(t, upstreamURL, signing.Token)
			if final.status != direct.status || final.body != direct.body {
				t.Errorf("final answer = %d, %d bytes; the upstream's is %d, %d bytes", final.status, len(final.body), direct.status, len(direct.body))
			}
			for name := range direct.header {
				if name != "Date" && fmt.Sprint(final.header[name]) != fmt.Sprint(direct.header[name]) {
					t.Errorf("%s = %q; the upstream's is %q", name, final.header[name], direct.header[name])
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
func wantCacheStatus(t testing.TB, what string, a answer, want string) {
	t.Helper()
	if got := a.header.Get("Cache-Status"); got != want {
		t.Errorf("%s: Cache-Status = %q, want %q", what, got, want)
	}
}

func TestAnswerIsTheUpstreams(t *testing.T) {
	t.Parallel()
	const odd = "\r\n {\"status\" : \"waiting\",\t\"future\":[1,2,{\"é\":\"\\u00e9\\/\"}], \"n\":1.50e+3}\n\n"
	rec := record(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		h := w.Header()
		h.Add("X-Vendor", "one")
		h.Add("X-Vendor", "two")
		h.Set("Cache-Status", "vendor; fwd=miss")
		h.Set("Set-Cookie", "sid="+secretMark+"1")
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
	b := serve(t, rec.url)
	for _, how := range []string{"miss", "hit"} {
		a := b.poll(token, "sesame-1")
		if a.status != 202 || a.body != odd {
			t.Errorf("%s: %d %q; want 202 %q", how, a.status, a.body, odd)
		}
		for name, want := range map[string][]string{
			"X-Vendor": {"one", "two"}, "Content-Type": {"application/json"}, "Server": {"vendor/1.0"}, "Cache-Control": {"no-cache, private"},
			"Set-Cookie": nil, "X-Hop": nil, "Keep-Alive": nil, "Proxy-Authenticate": nil, "Connection": nil, "Age": {"0"},
			"Content-Length": {strconv.Itoa(len(odd))},
		} {
			if got := a.header[name]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %s = %q, want %q", how, name, got, want)
			}
		}
		if got := a.header["X-Request-Id"]; len(got) != 1 || got[0] == "the-upstreams-own" {
			t.Errorf("%s: X-Request-Id = %q; want one, of this request", how, got)
		}
		if got := a.header["Cache-Status"]; len(got) != 2 || got[0] != "vendor; fwd=miss" || !strings.HasPrefix(got[1], "pollbridge; ") {
			t.Errorf("%s: Cache-Status = %q; want the vendor's line, then ours", how, got)
		}
	}
	if n := rec.count(); n != 1 {
		t.Errorf("the upstream saw %d requests, want 1", n)
	}
}

func TestAbsentContentTypeStaysAbsent(t *testing.T) {
	t.Parallel()
	rec := record(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header()["Content-Type"] = nil
		w.Write([]byte(waiting))
	})
	b := serve(t, rec.url)
	for _, path := range []string{statusPath(token), "/anything"} {
		if a := do(t, "POST", b.url+path, asking("sesame-1")); len(a.header["Content-Type"]) > 0 || a.body != waiting {
			t.Errorf("%s: Content-Type = %q, body %q; want none, as the upstream sent it", path, a.header["Content-Type"], a.body)
		}
	}
}

func TestWhatTheUpstreamIsAsked(t *testing.T) {
	t.Parallel()
	rec := record(t, nil)
	b := serve(t, rec.url)
	do(t, "POST", b.url+"/en"+statusPath(token)+"?lang=%65n&z=1&a=2", " { \"token\":\""+token+`","zz":1,"access_token":"sesame-\u0031","aa":null}`,
		"Content-Type: application/json", "Cookie: sid=1", "X-Forwarded-For: 192.0.2.9", "Accept-Encoding: gzip", "X-Other: 1", "X-HTTP-Method-Override: DELETE")
	seen := rec.last(t)
	if want := "/en" + statusPath(token) + "?a=2&lang=en&z=1"; seen.method != "POST" || seen.target != want {
		t.Errorf("the upstream saw %s %s, want POST %s", seen.method, seen.target, want)
	}
	if want := `{"access_token":"sesame-1","aa":null,"zz":1}`; seen.body != want {
		t.Errorf("the upstream read %s, want %s", seen.body, want)
	}
	for name := range seen.header {
		switch name {
		case "Accept", "Content-Type", "Content-Length", "User-Agent":
		default:
			t.Errorf("the upstream was sent %s: %q of a client that shares the answer with others", name, seen.header[name])
		}
	}
	if want := strings.TrimPrefix(rec.url, "http://"); seen.host != want {
		t.Errorf("Host = %q, want %q", seen.host, want)
	}
}

func TestCacheStatus(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var mode sync.Map
	rec := record(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		if m, _ := mode.Load("mode"); m == "down" {
			respond(w, 500, `{"status":"error","error_code":50000}`)
			return
		}
		<-gate
		respond(w, 200, waiting)
	})
	b := serve(t, rec.url, func(s *settings) { s.cache.PendingTTL = 500 * time.Millisecond })

	t.Log("two clients at once: one asks, one shares")
	answers := make(chan answer, 2)
	go func() { answers <- b.poll(token, "sesame-1") }()
	eventually(t, "the upstream is asked", func() bool { return rec.count() > 0 })
	go func() { answers <- b.poll(token, "sesame-1") }()
	// Nothing tells from outside that the second one waits too; if it does not yet, it gets a hit.
	time.AfterFunc(100*time.Millisecond, func() { close(gate) })
	got := map[string]int{}
	for range 2 {
		got[(<-answers).header.Get("Cache-Status")]++
	}
	if got["pollbridge; fwd=miss; ttl=0"] != 1 || got["pollbridge; fwd=miss; collapsed; ttl=0"]+got["pollbridge; hit; ttl=0"] != 1 {
		t.Errorf("Cache-Status = %v; want a miss, and a collapsed one", got)
	}

	t.Log("after the window, the old answer had to be replaced")
	eventually(t, "the window is over", func() bool {
		return b.poll(token, "sesame-1").header.Get("Cache-Status") == "pollbridge; fwd=stale; ttl=0"
	})

	t.Log("while the upstream fails, the old answer is given")
	mode.Store("mode", "down")
	eventually(t, "a stale answer", func() bool {
		a := b.poll(token, "sesame-1")
		got := a.header.Get("Cache-Status")
		return a.body == waiting && strings.HasPrefix(got, "pollbridge; fwd=stale; ttl=-") && strings.HasSuffix(got, "; detail=server_error") ||
			strings.HasSuffix(got, "; detail=transient")
	})
	if a := b.poll(token, "sesame-1", "Prefer: wait=0"); a.body != waiting {
		t.Errorf("with Prefer: wait=0 = %d %q, want waiting", a.status, a.body)
	}
}

func TestNothingToServe(t *testing.T) {
	t.Parallel()
	sim, upstreamURL := simulate(t, nil)
	for _, test := range []struct {
		fault simulator.Mode
		want  int
	}{
		{simulator.Error500, 503}, {simulator.Error502, 503}, {simulator.Transient, 503}, {simulator.Hang, 504}, {simulator.Reset, 503},
		{simulator.Garbage, 503}, {simulator.HTML, 503}, {simulator.Empty, 503},
	} {
		fatal(t, sim.SetFault(simulator.Fault{Mode: test.fault}))
		// One each: the circuit must not open.
		b := serve(t, upstreamURL, func(s *settings) { s.upstream.Timeout = 1500 * time.Millisecond })
		a := b.poll("token-"+string(test.fault)+"-"+tokenMark, "sesame-1")
		if a.status != test.want || !strings.HasPrefix(a.body, `{"status":"error","message":"`) || !strings.HasSuffix(a.body, `","error_code":50002}`) {
			t.Errorf("%s: %d %q; want %d with code 50002", test.fault, a.status, a.body, test.want)
		}
		if a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: header %v; want Retry-After, application/json, X-Request-Id", test.fault, a.header)
		}
	}
	t.Log("a redirect is told, and not followed")
	fatal(t, sim.SetFault(simulator.Fault{Mode: simulator.Redirect}))
	b := serve(t, upstreamURL)
	if a := b.poll(token, "sesame-1"); a.status < 300 || a.status > 399 || sim.Stats().Redirected != 0 {
		t.Errorf("a redirect: %d, %d were followed; want it as it is", a.status, sim.Stats().Redirected)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	rec := record(t, nil)
	b := serve(t, rec.url)
	seen := map[string]bool{}
	for _, path := range []string{statusPath(token), "/other"} {
		for range 3 {
			id := do(t, "POST", b.url+path, asking("sesame-1")).header.Get("X-Request-Id")
			if len(id) < 16 || seen[id] {
				t.Errorf("%s: X-Request-Id = %q; want one that nobody had", path, id)
			}
			seen[id] = true
		}
		for _, own := range []string{"a", "4bf92f3577b34da6a3ce929d0e0e4736", strings.Repeat("x", 128), `"quoted",;=`} {
			if id := do(t, "POST", b.url+path, asking("sesame-1"), "X-Request-Id: "+own).header.Get("X-Request-Id"); id != own {
				t.Errorf("%s: X-Request-Id = %q, want the client's own %q", path, id, own)
			}
		}
		for _, hostile := range []string{"", "a b", "a\tb", strings.Repeat("x", 129), "\xff", "é"} {
			id := do(t, "POST", b.url+path, asking("sesame-1"), "X-Request-Id: "+hostile).header.Get("X-Request-Id")
			if id == hostile || id == "" {
				t.Errorf("%s: X-Request-Id = %q, want another than %q", path, id, hostile)
			}
		}
	}
	a := do(t, "GET", b.url+"/other", "", "X-Request-Id: mine")
	if got := rec.last(t).header["X-Request-Id"]; len(got) != 1 || got[0] != "mine" || a.header.Get("X-Request-Id") != "mine" {
		t.Errorf("the upstream got X-Request-Id %q, want the client's", got)
	}
	if a := do(t, "GET", b.url+"/other", "", "X-Request-Id: mine", "X-Request-Id: thine"); len(a.header["X-Request-Id"]) != 1 {
		t.Errorf("two ids: answered with %q, want one", a.header["X-Request-Id"])
	}
}
