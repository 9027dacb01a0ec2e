package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pollbridge/simulator"
)

// A demonstration that cannot see errors would show none.
func TestDemoClientSeesWrongAnswers(t *testing.T) {
	const waiting, ok, refused = `{"status":"waiting"}`, `{"status":"ok"}`, `{"status":"error","error_code":40020}`
	for _, test := range []struct {
		name    string
		outcome simulator.Outcome // Waiting: the signing is under way
		told    bool              // another client knows how it ended
		status  int
		body    string
		err     string // a part of it; empty: none
		ended   bool
	}{
		{"under way", simulator.Waiting, false, 200, waiting, "", false},
		{"signed", simulator.Succeeded, false, 200, ok, "", true},
		{"signed, told again", simulator.Succeeded, true, 200, ok, "", true},
		{"signed, not yet known", simulator.Succeeded, false, 200, waiting, "", false},
		{"refused", simulator.Refused, false, 200, refused, "", true},
		{"invented", simulator.Waiting, false, 200, ok, `status "ok", code 0, for a signing under way`, false},
		{"another outcome", simulator.Succeeded, false, 200, refused, `status "error", code 40020, for a signing that ended succeeded`, false},
		{"an error without a code", simulator.Succeeded, false, 200, `{"status":"error"}`, `status "error"`, false},
		{"forgotten again", simulator.Refused, true, 200, waiting, `"waiting" after the end had been told`, false},
		{"unavailable", simulator.Waiting, false, 503, waiting, "HTTP 503", false},
		{"a page", simulator.Waiting, false, 200, "<html>", "no JSON", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, signing := demoClientOf(t, test.outcome, test.status, test.body)
			if test.told {
				signing.tell()
			}
			ended := c.poll(t.Context(), signing)
			var f demoFigures
			c.tally.fill(&f)
			if ended != test.ended || f.Asked != 1 || (f.Errors == 1) != (test.err != "") || !strings.Contains(f.FirstError, test.err) {
				t.Errorf("poll = %t, %d errors, %q; want %t, error %q", ended, f.Errors, f.FirstError, test.ended, test.err)
			}
		})
	}
}

// demoClientOf returns a client of a server with one answer, and a signing with
// that outcome.
func demoClientOf(t *testing.T, outcome simulator.Outcome, status int, body string) (*demoClient, *demoSigning) {
	t.Helper()
	sim, err := simulator.New(simulator.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	session, err := sim.Start(simulator.StartRequest{AccessToken: demoCredential, Outcome: simulator.Waiting})
	if err != nil {
		t.Fatal(err)
	}
	if outcome != simulator.Waiting {
		if err := sim.Finish(session.Token, outcome); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		want := fmt.Sprintf(`{"access_token":%q,"token":%q}`, demoCredential, session.Token)
		if path := "/en/smartid/sign/status/" + session.Token + ".json"; r.URL.Path != path || string(asked) != want || r.Header.Get("Prefer") != demoWait {
			t.Errorf("a poll is %s %s with Prefer %q; want %s %s with %q", r.URL.Path, asked, r.Header.Get("Prefer"), path, want, demoWait)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return &demoClient{
		http: server.Client(), url: server.URL, prefix: "/en", waits: true,
		sim: sim, tally: &demoTally{}, outage: newDemoOutage(sim, time.Minute),
	}, newDemoSigning("smartid", session.Token)
}

func TestDemoPollCutShortDoesNotCount(t *testing.T) {
	c, signing := demoClientOf(t, simulator.Waiting, 200, "{}")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.poll(ctx, signing)
	var f demoFigures
	if c.tally.fill(&f); f.Asked != 0 || f.Errors != 0 {
		t.Errorf("after the end %d polls with %d errors were counted, want none", f.Asked, f.Errors)
	}
}

func TestDemoDesk(t *testing.T) {
	desk := newDemoDesk("mobile")
	first, second := newDemoSigning("mobile", "1"), newDemoSigning("mobile", "2")
	came := make(chan *demoSigning)
	go func() { came <- desk.next(t.Context(), nil) }()
	desk.open(first)
	if got := <-came; got != first {
		t.Errorf("next = %v, want the signing that was opened", got)
	}
	go func() { came <- desk.next(t.Context(), first) }()
	desk.open(second)
	if got := <-came; got != second {
		t.Errorf("next = %v, want the second signing", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := desk.next(ctx, second); got != nil {
		t.Errorf("next after the end = %v, want nil", got)
	}
}

func TestDemoSigningPolledFrom(t *testing.T) {
	s, end := newDemoSigning("mobile", "1"), time.Now()
	if got := s.polledFrom(end); !got.Equal(end) {
		t.Errorf("polledFrom = %v, want the end %v", got, end)
	}
	late := end.Add(time.Minute)
	s.join(late)
	s.join(late.Add(time.Minute))
	if got := s.polledFrom(end); !got.Equal(late) {
		t.Errorf("polledFrom = %v, want when the first client came, %v", got, late)
	}
}
