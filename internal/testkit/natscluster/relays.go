package natscluster

import (
	"testing"

	"pollbridge/internal/testkit"
)

// Relays is a network between servers that can part one of them from the others; clients reach all
// of them. It is of one cluster, and ends with the test.
type Relays struct {
	t       testing.TB
	between map[[2]int]*testkit.Relay // from one to another
}

// NewRelays returns a network without servers.
func NewRelays(t testing.TB) *Relays { return &Relays{t, map[[2]int]*testkit.Relay{}} }

// Settings is for [Start].
func (r *Relays) Settings() Settings {
	return Settings{Route: func(from, to int, addr string) string {
		relay := testkit.NewRelay(r.t, addr)
		r.between[[2]int{from, to}] = relay
		return relay.Addr
	}}
}

// Part parts a server from the others, or ends that.
func (r *Relays) Part(server int, off bool) {
	for ends, relay := range r.between {
		if ends[0] == server || ends[1] == server {
			relay.Cut.Store(off)
		}
	}
}
