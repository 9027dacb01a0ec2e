package simulator_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/simulator"
)

// ask polls over a connection of its own and tells in words what came of it.
func ask(t *testing.T, url, token string) string {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Post(url+statusPath(token), "application/json", strings.NewReader(`{"access_token":"test"}`))
	if err != nil {
		return "no answer: " + cause(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Sprintf("%d broken after %d of %d: %s", response.StatusCode, len(body), response.ContentLength, cause(err))
	}
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	return fmt.Sprintf("%d %s %s", response.StatusCode, kind, gist(response, body))
}

func cause(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected EOF"
	case errors.Is(err, io.EOF):
		return "EOF"
	}
	return err.Error()
}

func gist(response *http.Response, body []byte) string {
	switch {
	case response.Header.Get("Location") != "":
		return response.Header.Get("Location")
	case response.Header.Get("Content-Encoding") == "gzip":
		unpacked, err := gzip.NewReader(strings.NewReader(string(body)))
		if err != nil {
			return err.Error()
		}
		body, _ = io.ReadAll(unpacked)
		return "gzip of " + string(body)
	case len(body) > 0 && body[0] == 0xff:
		return "noise"
	case strings.HasPrefix(string(body), "<!DOCTYPE html>"):
		return "page"
	}
	return string(body)
}

func TestFaultsOnTheWire(t *testing.T) {
	sim, url := serve(t, simulator.Config{OneShot: true, Seed: 2})
	const answer = `{"status":"error","message":"User refused","error_code":40020}` // 62 bytes
	for _, tt := range []struct {
		fault  simulator.Fault
		want   string
		usesUp bool
	}{
		{simulator.Fault{Mode: simulator.Error500}, `500 application/json {"status":"error","message":"Trouble in the service","error_code":50000}`, false},
		{simulator.Fault{Mode: simulator.Error502}, "502 text/html page", false},
		{simulator.Fault{Mode: simulator.Transient}, `200 application/json {"status":"error","message":"`, false},
		{simulator.Fault{Mode: simulator.Reset}, "no answer: reset", false},
		{simulator.Fault{Mode: simulator.Drop}, "no answer: EOF", false},
		{simulator.Fault{Mode: simulator.Garbage}, "200 application/json noise", false},
		{simulator.Fault{Mode: simulator.HTML}, "200 text/html page", false},
		{simulator.Fault{Mode: simulator.HalfBody}, "200 broken after 31 of 62: unexpected EOF", true},
		{simulator.Fault{Mode: simulator.WrongLength}, `200 application/json {"status":"error","message":"Us`, false},
		{simulator.Fault{Mode: simulator.TruncatedChunked}, "200 broken after 31 of -1: unexpected EOF", true},
		{simulator.Fault{Mode: simulator.Gzip}, "200 application/json gzip of " + answer, false},
		{simulator.Fault{Mode: simulator.Redirect}, "302 text/html " + url + "/_simulator/redirected", false},
		{simulator.Fault{Mode: simulator.Empty}, "200 application/json ", false},
		{simulator.Fault{Mode: simulator.Slow, Pace: time.Microsecond}, "200 application/json " + answer, false},
		{simulator.Fault{Mode: simulator.IdleClose}, "200 application/json " + answer, false},
		{simulator.Fault{Mode: simulator.None}, "200 application/json " + answer, true},
	} {
		token := start(t, sim, simulator.StartRequest{Outcome: simulator.Refused}).Token
		if err := sim.SetFault(tt.fault); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, url, token); !strings.HasPrefix(got, tt.want) {
			t.Errorf("with %s: %q, want %q", tt.fault, got, tt.want)
		}
		sim.ClearFault()
		after, want := ask(t, url, token), "40020"
		if tt.usesUp {
			want = "40402"
		}
		if !strings.Contains(after, want) {
			t.Errorf("after %s: %q, want %s", tt.fault, after, want)
		}
		if session, _ := sim.Session(token); session.Polls != 2 {
			t.Errorf("with %s: %d polls counted, want 2", tt.fault, session.Polls)
		}
	}
}

// The surplus has to be on the wire: a client that goes on reading there is what
// the fault is meant to catch.
func TestWrongLengthSendsMoreThanItSays(t *testing.T) {
	sim, url := serve(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.WrongLength}})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"access_token":"test"}`
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", statusPath(token), len(body), body)
	raw, _ := io.ReadAll(conn)
	if got := string(raw); !strings.Contains(got, "Content-Length: 10\r\n") || !strings.HasSuffix(got, `{"status":"waiting"}`) {
		t.Errorf("on the wire:\n%s\nwant a length of 10 and the 20 bytes of waiting", got)
	}
}

func TestIdleCloseIsNotAnnounced(t *testing.T) {
	sim, url := serve(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.IdleClose}})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /smartid/sign/status/%s.json?access_token=test HTTP/1.1\r\nHost: x\r\n\r\n", token)
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if string(body) != `{"status":"waiting"}` || err != nil || response.Close {
		t.Errorf("answer %q, %v, announced %v; want waiting and nothing announced", body, err, response.Close)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v, want EOF", err)
	}
}

// hungPoll polls in the background, waits until the fault holds it, and returns
// what becomes of it.
func hungPoll(t *testing.T, sim *simulator.Simulator, url, token string, struck <-chan simulator.Event) <-chan string {
	t.Helper()
	came := make(chan string, 1)
	go func() { came <- ask(t, url, token) }()
	<-struck
	return came
}

func hanging(t *testing.T, f simulator.Fault) (*simulator.Simulator, string, <-chan string) {
	t.Helper()
	struck := make(chan simulator.Event, 10)
	sim, url := serve(t, simulator.Config{Fault: f, OnEvent: func(e simulator.Event) {
		if e.Kind == simulator.EventStruck {
			struck <- e
		}
	}})
	token := start(t, sim, simulator.StartRequest{}).Token
	return sim, url, hungPoll(t, sim, url, token, struck)
}

func TestHangEnds(t *testing.T) {
	for name, end := range map[string]func(*simulator.Simulator){
		"lifted":   (*simulator.Simulator).ClearFault,
		"reset":    (*simulator.Simulator).Reset,
		"closed":   (*simulator.Simulator).Close,
		"replaced": func(sim *simulator.Simulator) { sim.SetFault(simulator.Fault{Mode: simulator.Drop}) },
	} {
		t.Run(name, func(t *testing.T) {
			sim, _, came := hanging(t, simulator.Fault{Mode: simulator.Hang})
			end(sim)
			if got := <-came; got != "no answer: EOF" {
				t.Errorf("the held poll ends with %q, want it dropped", got)
			}
		})
	}
}

func TestHangEndsWhenTheClientLeaves(t *testing.T) {
	struck, over := make(chan simulator.Event, 1), make(chan struct{})
	sim := newSimulator(t, simulator.Config{
		Fault: simulator.Fault{Mode: simulator.Hang},
		OnEvent: func(e simulator.Event) {
			if e.Kind == simulator.EventStruck {
				struck <- e
			}
		},
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		sim.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", server.URL+statusPath("x"), strings.NewReader(`{"access_token":"test"}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-struck
		leave()
	}()
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("a hung call was answered HTTP %d", response.StatusCode)
	}
	<-over // times out if the simulator does not notice
}

func TestHangEndsByItself(t *testing.T) {
	sim, _, came := hanging(t, simulator.Fault{Mode: simulator.Hang, Duration: 50 * time.Millisecond})
	if got := <-came; got != "no answer: EOF" {
		t.Errorf("the held poll ends with %q, want it dropped", got)
	}
	if got := sim.Fault().Mode; got != simulator.None {
		t.Errorf("after its duration the fault is %s", got)
	}
}

func TestCloseFreesTheStuck(t *testing.T) {
	sim, url := serve(t, simulator.Config{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /_simulator/bytes/100000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
	bufio.NewReaderSize(conn, 16).ReadByte() // it is being answered; nobody reads on
	sim.Close()
	sim.Close()
	if got := call(sim, "GET", "/_simulator/stats", "").Code; got != http.StatusServiceUnavailable {
		t.Errorf("after Close: HTTP %d, want 503", got)
	}
}

func TestFaultScopeAndProbability(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Seed: 1})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	sim.SetFault(simulator.Fault{Mode: simulator.Error500, Scope: simulator.ScopeStatus, Probability: 0.3})
	struck := 0
	for range 500 {
		if poll(sim, token).Code == 500 {
			struck++
		}
		if got := call(sim, "POST", "/smartid/sign.json", `{"access_token":"test",`+smartID+`}`).Code; got != 200 {
			t.Fatalf("a fault of status calls struck a start call: HTTP %d", got)
		}
	}
	if struck < 110 || struck > 190 || sim.Stats().Faulted != int64(struck) {
		t.Errorf("%d of 500 polls struck, %d counted; want about 150", struck, sim.Stats().Faulted)
	}
	sim.SetFault(simulator.Fault{Mode: simulator.Error500})
	if got := call(sim, "POST", "/api/document/upload.json", "x").Code; got != 500 {
		t.Errorf("a fault of all calls leaves an upload with HTTP %d", got)
	}
	if got := call(sim, "GET", "/_simulator/stats", "").Code; got != 200 {
		t.Errorf("a fault struck a control call: HTTP %d", got)
	}
}

func TestFaultRunsOut(t *testing.T) {
	clock := newClock()
	sim := newSimulator(t, simulator.Config{Now: clock.Now})
	sim.SetFault(simulator.Fault{Mode: simulator.Error502, Duration: time.Minute})
	clock.advance(time.Minute - 1)
	before := poll(sim, "x").Code
	clock.advance(1)
	if after := poll(sim, "x").Code; before != 502 || after != 200 {
		t.Errorf("HTTP %d before and %d after its duration, want 502 and 200", before, after)
	}
}

func TestReplacedCallHasNoEffect(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.Error500}})
	call(sim, "POST", "/smartid/sign.json", `{"access_token":"test",`+smartID+`}`)
	if stats := sim.Stats(); stats.Starts != 0 || stats.Calls != 1 {
		t.Errorf("stats %+v, want a call and no start", stats)
	}
}

func TestRedirectIsCountedIfFollowed(t *testing.T) {
	sim, url := serve(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.Redirect}})
	response, err := http.Get(url + "/document/x/check-status")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := sim.Stats().Redirected; got != 1 {
		t.Errorf("%d followed, want 1", got)
	}
}

func TestFaultText(t *testing.T) {
	for text, want := range map[string]simulator.Fault{
		"hang": {Mode: simulator.Hang},
		"none": {Mode: simulator.None},
		"error500,probability=0.3,duration=30s,scope=status": {
			Mode: simulator.Error500, Probability: 0.3, Duration: 30 * time.Second, Scope: simulator.ScopeStatus,
		},
		"slow,pace=100ms": {Mode: simulator.Slow, Pace: 100 * time.Millisecond},
	} {
		got, err := simulator.ParseFault(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseFault(%q) = %+v (%s), %v; want %+v", text, got, got, err, want)
		}
	}
	for text, complaint := range map[string]string{
		"":                   `"" is not a fault; accepted: none, error500,`,
		"hnag":               `"hnag" is not a fault`,
		"hang,often":         `"often" is not an option`,
		"hang,colour=red":    `"colour" is not an option; accepted: probability`,
		"hang,probability=0": `probability: "0"`,
		"hang,duration=0s":   `duration: "0s"`,
		"hang,duration=x":    `duration: "x"`,
		"hang,scope=":        `scope: ""`,
		"hang,scope=some":    `scope: "some" is not a scope; accepted: all, status`,
		"slow,pace=-1s":      `pace: "-1s"`,
	} {
		if got, err := simulator.ParseFault(text); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("ParseFault(%q) = %v, %v; want %q", text, got, err, complaint)
		}
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimulator(t, simulator.Config{SignAfter: simulator.Fixed(3 * time.Second), Latency: simulator.Fixed(time.Second)})
		token := start(t, sim, simulator.StartRequest{}).Token
		began := time.Now()
		// Asked at 0, 1 and 2 s, decided a second later: what counts is the end.
		for _, want := range []string{"waiting", "waiting", "ok"} {
			if got := short(t, poll(sim, token)); got != want {
				t.Errorf("after %v: %s, want %s", time.Since(began), got, want)
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("three calls took %v, want 3s", took)
		}
	})
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimulator(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.Slow, Pace: time.Second}})
		token := start(t, sim, simulator.StartRequest{FileSize: 10_000}).Token
		began := time.Now()
		got := poll(sim, token)
		if took := time.Since(began); took < 18*time.Second || took > 20*time.Second || short(t, got) != "ok" {
			t.Errorf("a slow answer took %v, want about 20 s", took)
		}
		// Lifting the fault lets the rest come at once.
		time.AfterFunc(5*time.Second, sim.ClearFault)
		began = time.Now()
		poll(sim, token)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("lifted after 5 s, a slow answer took %v", took)
		}
	})
}

func TestLeavingUsesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimulator(t, simulator.Config{OneShot: true, Latency: simulator.Fixed(time.Minute)})
		token := start(t, sim, simulator.StartRequest{}).Token
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		pollUntil(ctx, sim, token)
		if got := short(t, poll(sim, token)); got != "ok" {
			t.Errorf("after a client that left: %s, want ok", got)
		}
	})
}
