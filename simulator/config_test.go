package simulator_test

import (
	"strings"
	"testing"
	"time"

	"pollbridge/simulator"
)

func TestConfigReportsAllMistakes(t *testing.T) {
	_, err := simulator.New(simulator.Config{
		SignAfter:    simulator.Uniform(5*time.Second, time.Second),
		Outcomes:     simulator.Outcomes{{"won", 1}},
		Latency:      simulator.Fixed(-time.Second),
		ForgetAfter:  -time.Second,
		FileSize:     simulator.FixedSize(2 << 30),
		FailedStatus: "404",
		AccessTokens: []string{"a", ""},
		MaxSessions:  -1,
		Fault:        simulator.Fault{Mode: "hnag", Probability: 2, Duration: -1, Scope: "some", Pace: -1},
	})
	if err == nil {
		t.Fatal("New accepted it")
	}
	for _, want := range []string{
		"SignAfter: the range 5s..1s runs backwards",
		`Outcomes: "won"`,
		"Latency: -1s",
		"ForgetAfter: -1s",
		"FileSize: 2GiB",
		`FailedStatus: "404"`,
		"AccessTokens: one of them is empty",
		"MaxSessions: -1",
		`mode: "hnag"`,
		"probability: 2",
		"duration: -1ns",
		`scope: "some"`,
		"pace: -1ns",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

func TestZeroConfigWorks(t *testing.T) {
	sim := newSimulator(t, simulator.Config{})
	session := start(t, sim, simulator.StartRequest{})
	if got := short(t, poll(sim, session.Token)); got != "ok" {
		t.Errorf("poll = %s, want ok at once", got)
	}
}

func TestConfigIsCopied(t *testing.T) {
	tokens := []string{"test"}
	sim := newSimulator(t, simulator.Config{AccessTokens: tokens})
	tokens[0] = "changed"
	start(t, sim, simulator.StartRequest{AccessToken: "test"})
}
