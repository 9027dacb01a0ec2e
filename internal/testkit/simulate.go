package testkit

import (
	"testing"

	"pollbridge/simulator"
)

// Simulate starts the simulated signing API, and returns where it serves; change may
// change its settings, and may be nil. It ends with the test.
func Simulate(t testing.TB, change func(*simulator.Config)) (sim *simulator.Simulator, url string) {
	t.Helper()
	cfg := simulator.DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	sim, err := simulator.New(cfg)
	NoError(t, err)
	server := Serve(t, sim)
	t.Cleanup(sim.Close) // first, since a call that hangs would hold the server
	return sim, server.URL
}
