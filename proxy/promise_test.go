package proxy_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
	"pollbridge/session"
	"pollbridge/simulator"
)

// TestOneRequestPerWindow is 64 clients who poll one session for 5 seconds, in both
// locales: however often they ask, the upstream is asked once a second.
func TestOneRequestPerWindow(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 5 seconds")
	}
	sim, upstreamURL := testkit.Simulate(t, func(c *simulator.Config) { c.Latency = simulator.Fixed(50 * time.Millisecond) })
	b := bridge.Start(t, upstreamURL)
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Outcome: simulator.Waiting})
	testkit.NoError(t, err)
	var clients sync.WaitGroup
	var asked atomic.Int64
	end := time.Now().Add(5 * time.Second)
	for i := range 64 {
		clients.Go(func() {
			url := b.URL + []string{"", "/en"}[i%2] + bridge.StatusPath(signing.Token)
			for time.Now().Before(end) {
				if a := testkit.Do(t, "POST", url, bridge.StatusBody("sesame-1")); a.Status != 200 || !strings.Contains(a.Body, "waiting") {
					t.Errorf("answered %d %q, %v", a.Status, a.Body, a.Err)
					return
				}
				asked.Add(1)
				time.Sleep(10 * time.Millisecond) // a pause between polls, as clients make
			}
		})
	}
	clients.Wait()
	s, _ := sim.Session(signing.Token)
	if s.Polls > 7 {
		t.Errorf("the upstream was polled %d times, want at most 7", s.Polls)
	}
	if s.MaxInFlight > 1 {
		t.Errorf("%d polls at once, want never two", s.MaxInFlight)
	}
	t.Logf("%d requests of 64 clients in 5s became %d polls", asked.Load(), s.Polls)
}

// gullible is how an upstream reads the credential of a request that reads whatever
// it can get: the query before the body before the header, the last of several,
// names in any case. Where bearers are wanted, those come first.
func gullible(bearers bool, query, authorization, body string) string {
	if bearers && authorization != "" {
		scheme, credential, _ := strings.Cut(authorization, " ")
		return "header:" + strings.ToLower(scheme) + " " + strings.TrimSpace(credential)
	}
	last, found := "", false
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		name, _, _ = strings.Cut(strings.TrimSpace(name), "[")
		if strings.EqualFold(strings.NewReplacer(".", "_", " ", "_").Replace(name), "access_token") {
			last, found = value, true
			if decoded, err := url.QueryUnescape(value); err == nil {
				last = decoded
			}
		}
	}
	if found {
		return "query:" + last
	}
	var asked struct {
		Credential any `json:"access_token"`
	}
	body = strings.TrimPrefix(body, "\xef\xbb\xbf")
	if err := json.NewDecoder(strings.NewReader(body)).Decode(&asked); err == nil && asked.Credential != nil {
		return fmt.Sprintf("body:%v", asked.Credential)
	}
	if all := lastCredential.FindAllStringSubmatch(body, -1); len(all) > 0 {
		return "body:" + all[len(all)-1][1]
	}
	return "header:" + authorization
}

var lastCredential = regexp.MustCompile(`(?i)access_token["=:\s]+([^"&\s]*)`)

// TestNoAnswerCrossesCredentials fires hostile requests among honest ones at the same
// session, and compares each answer with what the upstream reads from exactly that
// request.
func TestNoAnswerCrossesCredentials(t *testing.T) {
	t.Parallel()
	bearer, err := session.NewEndpoint(session.EndpointConfig{
		Name: "document", Method: "POST", Path: "/smartid/sign/status/{token}.json", Credential: "header:Authorization",
		Pending: []string{"waiting"}, Succeeded: []string{"ok"},
	})
	testkit.NoError(t, err)
	type attempt struct{ query, authorization, body string }
	for _, dialect := range []struct {
		name, method string
		use          func(*bridge.Settings)
		honest       func(own string) attempt
	}{
		{"body", "POST", nil, func(own string) attempt { return attempt{body: bridge.StatusBody(own)} }},
		{"query", "GET", func(s *bridge.Settings) { s.Endpoints, _ = session.Dialect("dokobit") }, func(own string) attempt { return attempt{query: "access_token=" + own} }},
		{"header", "POST", func(s *bridge.Settings) { s.Endpoints = []session.Endpoint{bearer} }, func(own string) attempt { return attempt{authorization: "Bearer " + own} }},
	} {
		bearers := dialect.name == "header"
		rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
			answer, _ := json.Marshal(map[string]string{"status": "waiting", "read": gullible(bearers, r.URL.RawQuery, r.Header.Get("Authorization"), body)})
			testkit.Respond(w, 200, string(answer))
		})
		b := bridge.Start(t, rec.URL, func(s *bridge.Settings) {
			if dialect.use != nil {
				dialect.use(s)
			}
			s.Cache.PendingTTL = 20 * time.Millisecond
		})
		hostile := func(own, victim string) []attempt {
			honest := dialect.honest(own)
			var all []attempt
			for _, query := range []string{
				"access_token=VICTIM", "access_token=OWN&access_token=VICTIM", "access_token=VICTIM&access_token=OWN", "ACCESS_TOKEN=VICTIM", "access_token=OWN&Access_Token=VICTIM", "access.token=VICTIM",
				"access_token[]=VICTIM", "access_token=OWN&access_token[x]=VICTIM", "%61ccess_token=VICTIM", "access_token=OWN&a;access_token=VICTIM", "access_token=OWN%26access_token=VICTIM", "access_token=%zz&access_token=VICTIM",
				"access+token=VICTIM", "access_token=OWN&access%5Ftoken=VICTIM", "token=x&access_token=OWN", "access_token", "access_token=&access_token=VICTIM", "+access_token=VICTIM",
			} {
				all = append(all, attempt{query, honest.authorization, honest.body})
			}
			for _, authorization := range []string{"Bearer VICTIM", "bearer VICTIM", "Bearer OWN, Bearer VICTIM", "Basic VICTIM", "Bearer  VICTIM", "Bearer OWN VICTIM"} {
				all = append(all, attempt{honest.query, authorization, honest.body})
			}
			if dialect.method == "POST" {
				for _, body := range []string{
					`{"access_token":"OWN","access_token":"VICTIM"}`, `{"access_token":"VICTIM","access_token":"OWN"}`, `{"access_token":"OWN","Access_Token":"VICTIM"}`, `{"ACCESS_TOKEN":"VICTIM","access_token":"OWN"}`,
					`{"access_token":"OWN","access_to\u006ben":"VICTIM"}`, `{"access_token":"OWN","acces\u017f_token":"VICTIM"}`, `{"access_token":"OWN"}{"access_token":"VICTIM"}`, `{"access_token":"OWN"} , {"access_token":"VICTIM"}`,
					"\xef\xbb\xbf" + `{"access_token":"VICTIM"}`, `[{"access_token":"VICTIM"}]`, `{"a":{"access_token":"VICTIM"},"access_token":"OWN"}`, `{"access_token":{"access_token":"VICTIM"}}`,
					`{"access_token":["VICTIM"]}`, `{"access_token":"OWN` + "\xff" + `","access_token":"VICTIM"}`, `access_token=VICTIM`, `{"access_token":"OWN",}`, `{'access_token':'VICTIM'}`, `{"access_token":"VICTIM"`,
					`{"access_token":"OWN"}` + "\x00", `{"x":"` + "\xff" + `","access_token":"VICTIM"}`, `{"access_token":"\u0056"}`, "\t{\n\"access_token\" :\"OWN\"}", `{"access_token":"OWN","token":"VICTIM"}`,
					`{"access_token":"OWN","locale":"VICTIM"}`, `{"access_token":"OWN","n":1e400,"n2":1.0}`,
				} {
					all = append(all, attempt{honest.query, honest.authorization, body})
				}
			}
			for i := range all {
				fill := strings.NewReplacer("VICTIM", victim, "OWN", own)
				all[i] = attempt{fill.Replace(all[i].query), fill.Replace(all[i].authorization), fill.Replace(all[i].body)}
			}
			return all
		}
		ask := func(a attempt) {
			request, err := http.NewRequestWithContext(t.Context(), dialect.method, b.URL+bridge.StatusPath(token), strings.NewReader(a.body))
			if err != nil {
				t.Error(err)
				return
			}
			request.URL.RawQuery = a.query // as it stands
			if a.authorization != "" {
				request.Header.Set("Authorization", a.authorization)
			}
			response, err := testkit.Client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			var got struct{ Read string }
			if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != 200 {
				t.Errorf("%s: %+v answered %d, %v", dialect.name, a, response.StatusCode, err)
				return
			}
			if want := gullible(bearers, a.query, a.authorization, a.body); got.Read != want {
				t.Errorf("%s: %+v got the answer of %q, the upstream reads %q from it", dialect.name, a, got.Read, want)
			}
		}
		var clients sync.WaitGroup
		for i := range 8 {
			own, victim := fmt.Sprintf("sesame-%d", i), fmt.Sprintf("sesame-%d", (i+1)%8)
			clients.Go(func() {
				for range 60 {
					ask(dialect.honest(own))
				}
			})
			clients.Go(func() {
				for _, a := range hostile(own, victim) {
					ask(a)
				}
			})
		}
		clients.Wait()
		b.Stop()
		if t.Failed() {
			return
		}
	}
}

// outage is a way for an upstream to be down.
type outage struct {
	name       string
	begin, end func()
	sim        *simulator.Simulator
	url        string
}

func outages(t *testing.T) []outage {
	var all []outage
	for _, mode := range []simulator.Mode{
		simulator.Error500, simulator.Error502, simulator.Transient, simulator.Hang, simulator.Reset, simulator.Drop, simulator.Garbage, simulator.HTML,
		simulator.HalfBody, simulator.WrongLength, simulator.TruncatedChunked, simulator.Gzip, simulator.Redirect, simulator.Empty, simulator.Slow, simulator.IdleClose,
	} {
		sim, url := testkit.Simulate(t, nil)
		all = append(all, outage{
			string(mode), func() { sim.SetFault(simulator.Fault{Mode: mode, Pace: time.Second}) }, sim.ClearFault, sim, url,
		})
	}
	sim, _ := testkit.Simulate(t, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	address := ln.Addr().String()
	var server *http.Server
	var serving sync.WaitGroup
	begin := func() { server.Close(); serving.Wait() }
	end := func() {
		if ln == nil {
			if ln, err = net.Listen("tcp", address); err != nil {
				t.Errorf("listen again: %v", err)
				return
			}
		}
		server = &http.Server{Handler: sim}
		listening := ln
		ln = nil
		serving.Go(func() { server.Serve(listening) })
	}
	end()
	t.Cleanup(begin)
	return append(all, outage{"refused", begin, end, sim, "http://" + address})
}

// TestOutagesShowNothing is every kind of outage while signings are under way: their
// clients are told nothing but waiting, without long waits, and learn the outcome
// within 5 s of the end.
func TestOutagesShowNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 10 seconds")
	}
	var running sync.WaitGroup
	for _, o := range outages(t) {
		b := bridge.Start(t, o.url)
		running.Go(func() { rideOut(t, b, o) })
	}
	running.Wait()
}

func rideOut(t *testing.T, b *bridge.Bridge, o outage) {
	const signings = 5
	var tokens []string
	var lifted atomic.Pointer[time.Time]
	var clients sync.WaitGroup
	news := make([]time.Time, signings)
	for i := range signings {
		signing, err := o.sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Outcome: simulator.Waiting, FileSize: 1000})
		if err != nil {
			t.Error(err)
			return
		}
		tokens = append(tokens, signing.Token)
		if a := b.Poll(signing.Token, "sesame-1"); a.Status != 200 {
			t.Errorf("%s: before it: %d %q", o.name, a.Status, a.Body)
		}
		clients.Go(func() {
			var longest time.Duration
			for news[i].IsZero() {
				start := time.Now()
				a := b.Poll(signing.Token, "sesame-1")
				longest = max(longest, time.Since(start))
				switch {
				case a.Status == 200 && strings.Contains(a.Body, `"waiting"`):
				case a.Status == 200 && strings.Contains(a.Body, `"ok"`) && lifted.Load() != nil, a.Status == 200 && strings.Contains(a.Body, `"ok"`) && o.harmless():
					news[i] = time.Now()
				default:
					t.Errorf("%s: a client got %d %.120q, Cache-Status %q", o.name, a.Status, a.Body, a.Header.Get("Cache-Status"))
				}
				if at := lifted.Load(); at != nil && time.Since(*at) > 20*time.Second {
					t.Errorf("%s: no news 20s after the end", o.name)
					return
				}
				time.Sleep(400 * time.Millisecond) // a pause between polls, as clients make
			}
			if longest > slowdown*3*time.Second {
				t.Errorf("%s: an answer took %v, want at most 3s", o.name, longest)
			}
		})
	}
	o.begin()
	time.Sleep(4 * time.Second) // the outage
	for _, token := range tokens {
		if err := o.sim.Finish(token, simulator.Succeeded); err != nil {
			t.Error(err)
		}
	}
	o.end()
	now := time.Now()
	lifted.Store(&now)
	clients.Wait()
	var latest time.Duration
	for _, at := range news {
		latest = max(latest, at.Sub(now))
	}
	if latest > 5*time.Second+(slowdown-1)*time.Second {
		t.Errorf("%s: the news arrived %v after the end, want 5s", o.name, latest)
	}
	t.Logf("%-18s news after %v", o.name, latest)
}

// harmless is what keeps nobody from an answer.
func (o outage) harmless() bool {
	switch simulator.Mode(o.name) {
	case simulator.Gzip, simulator.IdleClose:
		return true
	}
	return false
}

func TestLargeHeads(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	body := bridge.StatusBody("sesame-1")
	cookie := "Cookie: sid=" + strings.Repeat("x", 5<<10)
	for _, target := range []string{bridge.StatusPath(token), "/x"} {
		if a := testkit.Do(t, "POST", b.URL+target, body, cookie); a.Status != 200 {
			t.Errorf("%s with a cookie of 5 KB: %d %q", target, a.Status, a.Body)
		}
	}
	many := strings.Repeat("X-A: b\r\n", 10_000)
	for name, head := range map[string]string{
		"10,000 fields":   "GET /x HTTP/1.1\r\nHost: h\r\n" + many + "\r\n",
		"a large field":   "GET /x HTTP/1.1\r\nHost: h\r\nX-A: " + strings.Repeat("sesame-", 10_000) + "\r\n\r\n",
		"a large target":  "GET /" + strings.Repeat("sesame-", 10_000) + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"10,000 trailers": "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + many + "\r\n",
	} {
		conn := b.Dial()
		go conn.Write([]byte(head + after))
		answers := testkit.ReadAnswers(t, conn)
		if len(answers) != 1 || answers[0].Status != 431 && name != "10,000 trailers" || answers[0].Status/100 != 4 {
			t.Errorf("%s: answered %v, want 431 and the end of the connection", name, answers)
			continue
		}
		if a := answers[0]; !strings.HasPrefix(a.Body, `{"status":"error"`) || strings.Contains(a.Body, "sesame") {
			t.Errorf("%s: %q; want the standard error, without an echo", name, a.Body)
		}
	}
	if n := rec.Count(); n > 2+1 {
		t.Errorf("the upstream saw %d requests", n)
	}
}
