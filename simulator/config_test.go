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
		Outcomes:     simulator.Outcomes{"won": 1},
		Latency:      simulator.Fixed(-time.Second),
		ForgetAfter:  -time.Second,
		FileSize:     2 << 30,
		AccessTokens: []string{"a", ""},
		Fault:        simulator.Fault{Mode: "hnag", Probability: 2, Duration: -1, RetryAfter: -1, Pace: -1},
	})
	if err == nil {
		t.Fatal("New accepted it")
	}
	for _, want := range []string{
		"SignAfter: the range 5s..1s runs backwards",
		`Outcomes: "won"`,
		"Latency: -1s",
		"ForgetAfter: -1s",
		"FileSize: 2147483648",
		"AccessTokens: one of them is empty",
		`mode: "hnag"`,
		"probability: 2",
		"duration: -1ns",
		"retry_after: -1ns",
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
	tokens, mix := []string{"test"}, simulator.Outcomes{simulator.Refused: 1}
	sim := newSimulator(t, simulator.Config{AccessTokens: tokens, Outcomes: mix})
	tokens[0] = "changed"
	mix[simulator.Refused] = 0
	if got := start(t, sim, simulator.StartRequest{AccessToken: "test"}).Outcome; got != simulator.Refused {
		t.Errorf("the outcome is %s, want refused", got)
	}
}
