//go:build unix

package cluster_test

import (
	"log/slog"
	"syscall"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store/cluster"
)

// TestClusterThatFails: the connection says that it cannot be used while it cannot, and heals
// by itself.
func TestClusterThatFails(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 3, natscluster.Settings{})
	c, err := cluster.Open(testkit.Within(t), configOf(servers), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	defer c.Close()
	works := func() bool { return c.Err() == nil }
	fails := func() bool { return c.Err() != nil }

	before := c.Usable()
	for _, i := range []int{0, 1} { // no majority is left
		servers.Servers[i].Kill()
	}
	testkit.Eventually(t, "two of three servers are missed", fails)
	if before.Err() == nil {
		t.Error("the context of before goes on")
	}
	for _, i := range []int{0, 1} {
		servers.Servers[i].Start()
	}
	testkit.Eventually(t, "it can be used again", works)

	up := c.Up()
	for _, s := range servers.Servers {
		s.Signal(syscall.SIGSTOP)
	}
	testkit.Eventually(t, "servers that hang are missed", fails)
	testkit.Eventually(t, "the connection to a server that hangs counts as lost", func() bool { return up.Err() != nil })
	for _, s := range servers.Servers {
		s.Signal(syscall.SIGCONT)
	}
	testkit.Eventually(t, "it can be used again", func() bool { return works() && c.Up().Err() == nil })
}
