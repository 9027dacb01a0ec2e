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
		{simulator.Fault{Mode: simulator.WrongLength}, `200 application/json {"status":"error","message":"Us`, true},
		{simulator.Fault{Mode: simulator.TruncatedChunked}, "200 broken after 31 of -1: unexpected EOF", true},
		{simulator.Fault{Mode: simulator.Gzip}, "200 application/json gzip of " + answer, true},
		{simulator.Fault{Mode: simulator.HTTP10}, "200 application/json " + answer, true},
		{simulator.Fault{Mode: "error403"}, "403 text/html page", false},
		{simulator.Fault{Mode: simulator.Redirect}, "302 text/html " + url + "/_simulator/redirected", false},
		{simulator.Fault{Mode: simulator.Empty}, "200 application/json ", false},
		{simulator.Fault{Mode: simulator.Slow, Pace: time.Microsecond}, "200 application/json " + answer, true},
		{simulator.Fault{Mode: simulator.IdleClose}, "200 application/json " + answer, true},
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
func hungPoll(t *testing.T, sim *simulator.Simulator, url, token string, faulted <-chan simulator.Event) <-chan string {
	t.Helper()
	came := make(chan string, 1)
	go func() { came <- ask(t, url, token) }()
	<-faulted
	return came
}

func hanging(t *testing.T, f simulator.Fault) (*simulator.Simulator, string, <-chan string) {
	t.Helper()
	faulted := make(chan simulator.Event, 10)
	sim, url := serve(t, simulator.Config{Fault: f, OnEvent: func(e simulator.Event) {
		if e.Kind == simulator.EventFaulted {
			faulted <- e
		}
	}})
	token := start(t, sim, simulator.StartRequest{}).Token
	return sim, url, hungPoll(t, sim, url, token, faulted)
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
	faulted, over := make(chan simulator.Event, 1), make(chan struct{})
	sim := newSimulator(t, simulator.Config{
		Fault: simulator.Fault{Mode: simulator.Hang},
		OnEvent: func(e simulator.Event) {
			if e.Kind == simulator.EventFaulted {
				faulted <- e
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
		<-faulted
		leave()
	}()
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("a hung call was answered HTTP %d", response.StatusCode)
	}
	<-over // times out if the simulator does not notice
}

func TestHangEndsByItself(t *testing.T) {
	sim, _, came := hanging(t, simulator.Fault{Mode: simulator.Hang, Duration: 5 * time.Second})
	if got := <-came; got != "no answer: EOF" {
		t.Errorf("the held poll ends with %q, want it dropped", got)
	}
	if got := sim.Fault().Mode; got != simulator.None {
		t.Errorf("after its duration the fault is %s", got)
	}
}

func TestFaultScopeAndProbability(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Seed: 1})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	sim.SetFault(simulator.Fault{Mode: simulator.Error500, StatusOnly: true, Probability: 0.3})
	faulted := 0
	for range 500 {
		if poll(sim, token).Code == 500 {
			faulted++
		}
		if got := call(sim, "POST", "/smartid/sign.json", `{"access_token":"test",`+smartID+`}`).Code; got != 200 {
			t.Fatalf("a fault of status calls hit a start call: HTTP %d", got)
		}
	}
	if faulted < 110 || faulted > 190 || sim.Stats().Faulted != int64(faulted) {
		t.Errorf("%d of 500 polls hit, %d counted; want about 150", faulted, sim.Stats().Faulted)
	}
	sim.SetFault(simulator.Fault{Mode: simulator.Error500})
	if got := call(sim, "POST", "/api/anything", "x").Code; got != 500 {
		t.Errorf("a fault of all calls leaves another call with HTTP %d", got)
	}
	if got := call(sim, "GET", "/_simulator/stats", "").Code; got != 200 {
		t.Errorf("a fault hit a control call: HTTP %d", got)
	}
}

func TestFaultOfOneSession(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	one := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	two := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	sim.SetFault(simulator.Fault{Mode: "error403", Token: one})
	if first, second := poll(sim, one).Code, poll(sim, two).Code; first != 403 || second != 200 {
		t.Errorf("HTTP %d for the session with the fault and %d for the other, want 403 and 200", first, second)
	}
}

func TestFaultRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimulator(t, simulator.Config{})
		sim.SetFault(simulator.Fault{Mode: simulator.Error502, Duration: time.Minute})
		time.Sleep(time.Second)
		// The end of the one before is not the end of this one.
		sim.SetFault(simulator.Fault{Mode: simulator.Error500, Duration: time.Minute})
		time.Sleep(time.Minute - 1)
		before := poll(sim, "x").Code
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if after := poll(sim, "x").Code; before != 500 || after != 200 {
			t.Errorf("HTTP %d before and %d after its duration, want 500 and 200", before, after)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	for fault, want := range map[string]string{"error429,retry_after=8s": "429 8", "error503,retry_after=1ms": "503 1", "error503": "503 "} {
		var f simulator.Fault
		if err := f.UnmarshalText([]byte(fault)); err != nil {
			t.Fatal(err)
		}
		sim.SetFault(f)
		w := poll(sim, "x")
		if got := fmt.Sprint(w.Code, " ", w.Header().Get("Retry-After")); got != want {
			t.Errorf("%s: %q, want %q", fault, got, want)
		}
	}
}

// TestEarly413: the answer is there while the client still has most of its upload to
// send.
func TestEarly413(t *testing.T) {
	_, url := serve(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.Error413}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /smartid/sign.json HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n{\"access_token\":")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != 413 {
		t.Fatalf("before the upload was sent: %v, %v; want 413", response, err)
	}
	if _, err := conn.Write(make([]byte, 1000)); err != nil {
		t.Errorf("the upload cannot go on: %v", err)
	}
}

func TestHTTP10(t *testing.T) {
	sim, url := serve(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.HTTP10}})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /smartid/sign/status/%s.json?access_token=test HTTP/1.1\r\nHost: x\r\n\r\n", token)
	raw, _ := io.ReadAll(conn)
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.0 200 OK\r\n") || strings.Contains(head, "Content-Length") || body != `{"status":"waiting"}` {
		t.Errorf("on the wire:\n%s\nwant HTTP/1.0 without a length, and waiting", raw)
	}
}

func TestReplacedCallHasNoEffect(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.Error500}})
	call(sim, "POST", "/smartid/sign.json", `{"access_token":"test",`+smartID+`}`)
	if stats := sim.Stats(); stats.Starts != 0 || stats.Calls != 1 {
		t.Errorf("stats %+v, want a call and no start", stats)
	}
}

func TestFaultText(t *testing.T) {
	for text, want := range map[string]simulator.Fault{
		"hang":     {Mode: simulator.Hang},
		"none":     {Mode: simulator.None},
		"error451": {Mode: "error451"},
		"error500,probability=0.3,duration=30s,scope=status": {
			Mode: simulator.Error500, Probability: 0.3, Duration: 30 * time.Second, StatusOnly: true,
		},
		"slow,pace=100ms":                   {Mode: simulator.Slow, Pace: 100 * time.Millisecond},
		"error429,token=t-1,retry_after=8s": {Mode: "error429", RetryAfter: 8 * time.Second, Token: "t-1"},
	} {
		var got simulator.Fault
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q = %+v (%s), %v; want %+v", text, got, got, err, want)
		}
	}
	for text, complaint := range map[string]string{
		"":                   `"" is not a fault; accepted: none, error400`,
		"hnag":               `"hnag" is not a fault`,
		"error399":           `"error399" is not a fault`,
		"error0500":          `"error0500" is not a fault`,
		"hang,often":         `"often" is not an option`,
		"hang,colour=red":    `"colour" is not an option of faults; accepted: probability`,
		"hang,probability=0": `probability: "0"`,
		"hang,probability=2": `probability: 2 is out of range`,
		"hang,duration=0s":   `duration: "0s"`,
		"hang,duration=x":    `duration: "x"`,
		"hang,scope=":        `scope: ""`,
		"hang,scope=some":    `scope: "some" is not a scope; accepted: all, status`,
		"slow,pace=-1s":      `pace: "-1s"`,
	} {
		var got simulator.Fault
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%q = %v, %v; want %q", text, got, err, complaint)
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
