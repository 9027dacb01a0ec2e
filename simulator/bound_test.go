package simulator

import (
	"slices"
	"testing"
)

func TestSessionsAreBounded(t *testing.T) {
	sim, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	oldest, err := sim.Start(StartRequest{AccessToken: "test"})
	if err != nil {
		t.Fatal(err)
	}
	sim.byAge = slices.Repeat(sim.byAge, maxSessions)
	if _, err := sim.Start(StartRequest{AccessToken: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, held := sim.Session(oldest.Token); held || len(sim.byAge) != maxSessions {
		t.Errorf("of %d sessions the oldest is held: %t; want at most %d", len(sim.byAge), held, maxSessions)
	}
}
