package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
	"pollbridge/simulator"
)

// TestPreferWait reads the preference with sessions that have ended, so that nobody
// is held.
func TestPreferWait(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		testkit.Respond(w, 200, `{"status":"ok"}`)
	})
	b := bridge.Start(t, rec.URL)
	for _, test := range []struct {
		prefer []string
		want   string
	}{
		{nil, ""},
		{[]string{"wait=5"}, "wait=5"},
		{[]string{"Wait=5"}, "wait=5"},
		{[]string{`wait="5"`}, "wait=5"},
		{[]string{"wait = 5"}, "wait=5"},
		{[]string{" wait=5 "}, "wait=5"},
		{[]string{"respond-async, wait=5"}, "wait=5"},
		{[]string{"wait=5, respond-async"}, "wait=5"},
		{[]string{"wait=5; foo=bar"}, "wait=5"},
		{[]string{"handling=lenient", "wait=5"}, "wait=5"},
		{[]string{`foo="a, wait=7"`, "wait=5"}, "wait=5"},
		{[]string{`foo="a, wait=7"`}, ""},
		{[]string{"wait=5, wait=9"}, "wait=5"},
		{[]string{"wait=55"}, "wait=55"},
		{[]string{"wait=56"}, "wait=55"},
		{[]string{"wait=2147483648"}, "wait=55"},
		{[]string{"wait=99999999999999999999999"}, "wait=55"},
		{[]string{"wait=-1"}, ""},
		{[]string{"wait=+5"}, ""},
		{[]string{"wait=5.5"}, ""},
		{[]string{"wait=5s"}, ""},
		{[]string{"wait="}, ""},
		{[]string{"wait"}, ""},
		{[]string{"waiting=5"}, ""},
		{[]string{"await=5"}, ""},
		{[]string{""}, ""},
		{[]string{",,;=,"}, ""},
	} {
		var fields []string
		for _, p := range test.prefer {
			fields = append(fields, "Prefer: "+p)
		}
		if got := b.Poll(token, "sesame-1", fields...).Header.Get("Preference-Applied"); got != test.want {
			t.Errorf("Prefer: %q is answered with Preference-Applied: %q, want %q", test.prefer, got, test.want)
		}
	}
}

func TestHeldPoll(t *testing.T) {
	t.Parallel()
	sim, upstreamURL := testkit.Simulate(t, nil)
	b := bridge.Start(t, upstreamURL, func(s *bridge.Settings) {
		s.Cache.PendingTTL = 100 * time.Millisecond
		s.Interval = s.Cache.PendingTTL
	})
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Outcome: simulator.Waiting})
	testkit.NoError(t, err)

	t.Log("nothing changes: it is answered after the time that the client named")
	start := time.Now()
	a := b.Poll(signing.Token, "sesame-1", "Prefer: wait=1")
	if took := time.Since(start); a.Body != testkit.Waiting+"\n" && a.Body != testkit.Waiting || took < 900*time.Millisecond || a.Header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("answered %q after %v with %v; want waiting after 1s", a.Body, took, a.Header)
	}
	if b.LongPolls.Held() != 0 {
		t.Errorf("%d sessions are held after the answer, want none", b.LongPolls.Held())
	}

	t.Log("wait=0 does not hold")
	if a := b.Poll(signing.Token, "sesame-1", "Prefer: wait=0"); !strings.Contains(a.Body, "waiting") {
		t.Errorf("answered %q, %v; want waiting at once", a.Body, a.Err)
	}

	t.Log("the state changes: it is answered at once, in both locales")
	held := make(chan testkit.Answer, 2)
	for _, prefix := range []string{"", "/en"} {
		go func() {
			held <- testkit.Do(t, "POST", b.URL+prefix+bridge.StatusPath(signing.Token), bridge.StatusBody("sesame-1"), "Prefer: wait=60") // which the client does not wait for
		}()
	}
	testkit.Eventually(t, "both are held", func() bool { return strings.Count(goroutines(), "proxy.(*Server).hold(") >= 2 })
	testkit.NoError(t, sim.Finish(signing.Token, simulator.Refused))
	for range 2 {
		if a := <-held; !strings.Contains(a.Body, "40020") || a.Header.Get("Preference-Applied") != "wait=55" {
			t.Errorf("answered %q with %v; want refused", a.Body, a.Header)
		}
	}
	testkit.Eventually(t, "nothing is held any more", func() bool { return b.LongPolls.Held() == 0 })
}

func goroutines() string {
	stacks := make([]byte, 8<<20)
	return string(stacks[:runtime.Stack(stacks, true)])
}

func TestHeldPollOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL, func(s *bridge.Settings) {
		s.Cache.PendingTTL = 50 * time.Millisecond
		s.Interval = s.Cache.PendingTTL
	})
	body := bridge.StatusBody("sesame-1")
	conn := b.Dial()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nPrefer: wait=60\r\nContent-Length: %d\r\n\r\n%s", bridge.StatusPath(token), len(body), body)
	testkit.Eventually(t, "the session is refreshed", func() bool { return rec.Count() >= 3 })
	conn.Close()
	testkit.Eventually(t, "the refreshing ends", func() bool { return b.LongPolls.Held() == 0 })
	testkit.Eventually(t, "no poll is under way", func() bool { return rec.InFlight() == 0 })
	n := rec.Count()
	b.Poll(token, "sesame-1")
	if more := rec.Count() - n; more > 2 { // one may have been on its way
		t.Errorf("%d polls after the client left", more)
	}

	t.Log("a pipelined request behind a held one ends no hold, and is answered")
	raw := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nPrefer: wait=1\r\nContent-Length: %d\r\n\r\n%s", bridge.StatusPath(token), len(body), body) + after
	if got := testkit.Statuses(b.Send(raw)); len(got) != 2 || got[0] != 200 || got[1] != 200 {
		t.Errorf("answered %v, want both", got)
	}
}

// TestManyHeldPolls is 300 clients that wait for one session, or for one each. At one
// poll a second all learn of the end within 1.6 s, and waiting costs no more polls
// than there are sessions and seconds.
func TestManyHeldPolls(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 6 seconds")
	}
	for _, sessions := range []int{1, heldClients} {
		// The bound is one on the bridge, but other programs share the machine.
		var latest time.Duration
		for range 3 {
			if latest = holdMany(t, sessions); latest <= slowdown*1600*time.Millisecond {
				break
			}
		}
		if latest > slowdown*1600*time.Millisecond {
			t.Errorf("the last of %d clients on %d sessions learned of the change after %v, want 1.6s", heldClients, sessions, latest)
		}
	}
}

const heldClients = 300

// holdMany returns how long after the change the last client learned of it.
func holdMany(t *testing.T, sessions int) (latest time.Duration) {
	sim, upstreamURL := testkit.Simulate(t, nil)
	b := bridge.Start(t, upstreamURL)
	defer b.Stop()
	var tokens []string
	for range sessions {
		signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Outcome: simulator.Waiting, FileSize: 10})
		testkit.NoError(t, err)
		tokens = append(tokens, signing.Token)
	}
	type told struct {
		at   time.Time
		body string
	}
	answers := make(chan told, heldClients)
	began := time.Now()
	for i := range heldClients {
		go func() {
			a := b.Poll(tokens[i%sessions], "sesame-1", "Prefer: wait=40")
			answers <- told{time.Now(), a.Body}
		}()
	}
	testkit.Eventually(t, "all are held", func() bool {
		return b.LongPolls.Held() == sessions && sim.Stats().Polls >= int64(2*sessions) && strings.Count(goroutines(), "proxy.(*Server).hold(") >= heldClients
	})
	changed := time.Now()
	for _, token := range tokens {
		testkit.NoError(t, sim.Finish(token, simulator.Succeeded))
	}
	for range heldClients {
		a := <-answers
		if !strings.Contains(a.body, `"ok"`) {
			t.Errorf("answered %.80q, want the final answer", a.body)
		}
		latest = max(latest, a.at.Sub(changed))
	}
	polls, seconds := sim.Stats().Polls, time.Since(began).Seconds()
	if most := int64(sessions) * int64(seconds+2); polls > most {
		t.Errorf("%d polls in %.1fs for %d sessions, want at most %d", polls, seconds, sessions, most)
	}
	for _, token := range tokens {
		if s, _ := sim.Session(token); s.MaxInFlight > 1 {
			t.Errorf("%d polls of one session at once", s.MaxInFlight)
		}
	}
	t.Logf("%d clients on %d sessions: the last learned after %v; %d polls in %.1fs", heldClients, sessions, latest, polls, seconds)
	return latest
}

// TestHeldThroughAnOutage shows nothing of it to clients that are held.
func TestHeldThroughAnOutage(t *testing.T) {
	t.Parallel()
	sim, upstreamURL := testkit.Simulate(t, nil)
	b := bridge.Start(t, upstreamURL, func(s *bridge.Settings) {
		s.Cache.PendingTTL = 100 * time.Millisecond
		s.Interval = s.Cache.PendingTTL
		s.Breaker.OpenFor = time.Second
	})
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Outcome: simulator.Waiting})
	testkit.NoError(t, err)
	held := make(chan testkit.Answer, 1)
	go func() { held <- b.Poll(signing.Token, "sesame-1", "Prefer: wait=40") }()
	testkit.Eventually(t, "the session is refreshed", func() bool { return sim.Stats().Polls >= 2 })
	testkit.NoError(t, sim.SetFault(simulator.Fault{Mode: simulator.Reset}))
	if a := b.Poll(signing.Token, "sesame-1", "Prefer: wait=1"); !strings.Contains(a.Body, "waiting") || !strings.Contains(a.Header.Get("Cache-Status"), "detail=") {
		t.Errorf("in the outage: %q with Cache-Status %q; want waiting, marked", a.Body, a.Header.Get("Cache-Status"))
	}
	testkit.NoError(t, sim.Finish(signing.Token, simulator.Succeeded))
	sim.ClearFault()
	select {
	case a := <-held:
		if !strings.Contains(a.Body, `"ok"`) {
			t.Errorf("after the outage: %.80q, want the final answer", a.Body)
		}
	case <-time.After(5 * time.Second):
		t.Error("5s after the outage the held client knew nothing")
	}
}

// TestHeldWithNothingKnown answers an error at once: there is nothing to wait for.
func TestHeldWithNothingKnown(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := 0
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		mu.Lock()
		calls++
		mu.Unlock()
		w.WriteHeader(502)
		io.WriteString(w, "<html>")
	})
	b := bridge.Start(t, rec.URL)
	if a := b.Poll(token, "sesame-1", "Prefer: wait=60"); a.Status != 503 {
		t.Errorf("answered %d, %v; want 503 at once", a.Status, a.Err)
	}
	if b.LongPolls.Held() != 0 {
		t.Error("the session is still held")
	}
}

// TestWaitCountsFromTheRequest, however long the upstream takes, and makes no answer
// worse: what is known is given when the time is over.
func TestWaitCountsFromTheRequest(t *testing.T) {
	t.Parallel()
	const slow = 1500 * time.Millisecond
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
		}
		testkit.Respond(w, 200, testkit.Waiting)
	})
	b := bridge.Start(t, rec.URL, func(s *bridge.Settings) { s.Cache.PendingTTL = 100 * time.Millisecond })
	for _, test := range []struct {
		what        string
		least, most time.Duration
	}{
		{"never seen: as a plain poll", slow, 2 * slow},
		{"seen, and out of date", 900 * time.Millisecond, slow - 100*time.Millisecond},
		{"once more", 900 * time.Millisecond, slow - 100*time.Millisecond},
	} {
		start := time.Now()
		a := b.Poll(token, "sesame-1", "Prefer: wait=1")
		if took := time.Since(start); a.Status != 200 || a.Body != testkit.Waiting || took < test.least || took > test.most*slowdown {
			t.Errorf("%s: %d %q after %v; want waiting after %v to %v", test.what, a.Status, a.Body, took, test.least, test.most)
		}
	}
}
