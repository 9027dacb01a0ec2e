package simulator_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/simulator"
)

func pollUntil(ctx context.Context, sim *simulator.Simulator, token string) {
	r := httptest.NewRequestWithContext(ctx, "POST", statusPath(token), strings.NewReader(`{"access_token":"test"}`))
	sim.ServeHTTP(httptest.NewRecorder(), r)
}

func TestPollsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimulator(t, simulator.Config{Latency: simulator.Fixed(time.Second)})
		one := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting})
		two := start(t, sim, simulator.StartRequest{Outcome: simulator.Refused})
		var polls sync.WaitGroup
		for range 3 {
			polls.Go(func() { poll(sim, one.Token) })
		}
		polls.Go(func() { poll(sim, two.Token) })
		synctest.Wait()
		if stats := sim.Stats(); stats.InFlight != 4 {
			t.Errorf("%d in flight, want 4", stats.InFlight)
		}
		polls.Wait()
		poll(sim, one.Token)
		poll(sim, "nobody")

		got, _ := sim.Session(one.Token)
		if got.Polls != 4 || got.MaxInFlight != 3 {
			t.Errorf("session %+v, want 4 polls, 3 at once", got)
		}
		if got, _ := sim.Session(two.Token); got.Polls != 1 || got.FinalAnswers != 1 {
			t.Errorf("session %+v, want 1 poll, 1 final answer", got)
		}
		stats := sim.Stats()
		if stats.Polls != 6 || stats.Starts != 2 || stats.InFlight != 0 || stats.MaxInFlight != 4 ||
			stats.Ended[simulator.Refused] != 1 {
			t.Errorf("stats %+v", stats)
		}
	})
}

func TestReset(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.Error500}})
	token := start(t, sim, simulator.StartRequest{}).Token
	poll(sim, token)
	sim.Reset()
	stats := sim.Stats()
	if stats.Starts+stats.Polls+stats.Faulted != 0 || sim.Fault().Mode != simulator.None {
		t.Errorf("stats after Reset: %+v", stats)
	}
	if got := short(t, poll(sim, token)); got != "40402" {
		t.Errorf("a session from before Reset is answered %s", got)
	}
	if again := start(t, sim, simulator.StartRequest{}).Token; again == token {
		t.Error("Reset repeats a token")
	}
}

func TestEventsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		sim := newSimulator(t, simulator.Config{
			SignAfter: simulator.Fixed(time.Second), ForgetAfter: time.Minute,
			OnEvent: func(e simulator.Event) {
				heard = append(heard, strings.TrimSpace(fmt.Sprintf("%s %s%.0d", e.Kind, e.Fault.Mode, e.Session.Polls)))
			},
		})
		token := start(t, sim, simulator.StartRequest{}).Token
		poll(sim, token)
		time.Sleep(2 * time.Second)
		sim.AdvanceAll()
		sim.SetFault(simulator.Fault{Mode: simulator.Empty})
		poll(sim, token)
		sim.ClearFault()
		sim.ClearFault()
		poll(sim, token)
		poll(sim, token)
		time.Sleep(time.Minute)
		sim.AdvanceAll()
		sim.Finish(token, simulator.Waiting)
		want := []string{
			"started", "polled 1", "ended 1", "fault set empty", "polled 2", "faulted empty2", "fault cleared empty",
			"polled 3", "collected 3", "polled 4", "forgotten 4", "reopened 4",
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q\nwant  %q", heard, want)
		}
	})
}

func TestEverythingAtOnce(t *testing.T) {
	sim := newSimulator(t, simulator.Config{OneShot: true, OnEvent: func(simulator.Event) {}})
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			for n := range 50 {
				session, err := sim.Start(simulator.StartRequest{AccessToken: "test"})
				if err != nil {
					t.Errorf("Start: %v", err)
				}
				poll(sim, session.Token)
				sim.Finish(session.Token, simulator.Waiting)
				sim.Session(session.Token)
				if i == 0 && n%10 == 0 {
					sim.SetFault(simulator.Fault{Mode: simulator.Error502})
					sim.Stats()
					sim.Reset()
				}
			}
		})
	}
	workers.Wait()
	if stats := sim.Stats(); stats.InFlight != 0 {
		t.Errorf("stats %+v, want none in flight", stats)
	}
}
