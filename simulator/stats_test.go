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
		began := time.Now()
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
		times := []time.Time{began, began, began, began.Add(time.Second)}
		if got.Polls != 4 || got.MaxInFlight != 3 || !slices.EqualFunc(got.PollTimes, times, time.Time.Equal) {
			t.Errorf("session %+v, want 4 polls, 3 at once, times %v", got, times)
		}
		if got, _ := sim.Session(two.Token); got.Polls != 1 || got.FinalAnswers != 1 || !got.Collected.Equal(began.Add(time.Second)) {
			t.Errorf("session %+v, want 1 poll, 1 final answer after 1s", got)
		}
		stats := sim.Stats()
		if stats.Polls != 6 || stats.Starts != 2 || stats.InFlight != 0 || stats.MaxInFlight != 4 ||
			stats.Ended[simulator.Refused] != 1 || stats.Waiting != 1 {
			t.Errorf("stats %+v", stats)
		}
	})
}

func TestPollTimesAreBounded(t *testing.T) {
	clock := newClock()
	sim := newSimulator(t, simulator.Config{Now: clock.Now})
	token := start(t, sim, simulator.StartRequest{Outcome: simulator.Waiting}).Token
	for range 150 {
		clock.advance(time.Second)
		poll(sim, token)
	}
	got, _ := sim.Session(token)
	if got.Polls != 150 || len(got.PollTimes) != 100 || !got.PollTimes[99].Equal(clock.Now()) ||
		!got.PollTimes[0].Equal(clock.Now().Add(-99*time.Second)) {
		t.Errorf("%d polls, %d times from %v to %v; want the last 100 of 150", got.Polls, len(got.PollTimes), got.PollTimes[0], got.PollTimes[99])
	}
}

func TestReset(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Fault: simulator.Fault{Mode: simulator.Error500}})
	token := start(t, sim, simulator.StartRequest{}).Token
	poll(sim, token)
	sim.Reset()
	stats := sim.Stats()
	if stats.Starts+stats.Polls+stats.Faulted+int64(stats.Sessions) != 0 || stats.Fault.Mode != simulator.None {
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
	clock := newClock()
	var heard []string
	var sim *simulator.Simulator
	sim = newSimulator(t, simulator.Config{
		Now: clock.Now, SignAfter: simulator.Fixed(time.Second), ForgetAfter: time.Minute,
		OnEvent: func(e simulator.Event) {
			heard = append(heard, strings.TrimSpace(fmt.Sprintf("%s %s%.0d", e.Kind, e.Fault.Mode, e.Session.Polls)))
			if e.Kind == simulator.EventCollected {
				sim.SetFault(simulator.Fault{Mode: simulator.Empty}) // a listener may call back
			}
		},
	})
	token := start(t, sim, simulator.StartRequest{}).Token
	poll(sim, token)
	clock.advance(2 * time.Second)
	sim.Settle()
	poll(sim, token)
	sim.ClearFault()
	clock.advance(time.Minute)
	sim.Settle()
	sim.Finish(token, simulator.Waiting)
	want := []string{"started", "polled 1", "ended 1", "polled 2", "collected 2", "fault set empty", "fault cleared empty", "forgotten 2", "reopened 2"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q\nwant  %q", heard, want)
	}
}

func TestEverythingAtOnce(t *testing.T) {
	sim := newSimulator(t, simulator.Config{MaxSessions: 20, OneShot: true, OnEvent: func(simulator.Event) {}})
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
	if stats := sim.Stats(); stats.Sessions > 20 || stats.InFlight != 0 {
		t.Errorf("stats %+v, want at most 20 sessions and none in flight", stats)
	}
}
