package main

import (
	"math"
	"testing"
)

func TestBounds(t *testing.T) {
	for _, test := range []struct {
		costs           costs
		replicas, polls float64
		least           string
		sessions        float64
	}{
		{costs{busiestWrites: 6, askMessages: 4}, 10, 1, "writes into one stream", 90_000},
		{costs{busiestWrites: 1e-9, signingNATS: 60, askMessages: 4}, 10, 1, "CPU of NATS", 24},
		{costs{busiestWrites: 1e-9, watchPoll: 1, askMessages: 4}, 256, 0, "CPU of all replicas", 512},
		{costs{busiestWrites: 1e-9, watchPoll: 1, askMessages: 4}, 200, 0, "CPU of who holds most", 256}, // two slots of 256
	} {
		if name, sessions := least(test.costs, test.replicas, test.polls); name != test.least || math.Round(sessions) != test.sessions {
			t.Errorf("%v replicas that cost %+v bear %v sessions, for %s; want %v, for %s", test.replicas, test.costs, sessions, name, test.sessions, test.least)
		}
	}
}
