//go:build trial

package trial_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
)

// network is between three servers of NATS. It can part one of them from the others, without a word
// to anybody; clients still reach all of them.
type network struct {
	settings natscluster.Settings
	part     func(server int, off bool)
}

// newNetwork gives each server a network namespace of its own where that is permitted. Elsewhere
// what servers say to each other goes through relays.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n, err := namespaces(t, 3)
	if err != nil {
		t.Logf("servers are parted by relays, as network namespaces are not permitted: %v", err)
		relays := natscluster.NewRelays(t)
		return &network{relays.Settings(), relays.Part}
	}
	t.Log("servers are parted by network namespaces")
	return n
}

// namespaces has each server in a namespace with two links: one to the host, where clients are, and
// one to a bridge, where the other servers are.
func namespaces(t *testing.T, servers int) (*network, error) {
	t.Helper()
	var failed error
	ip := func(arguments string, a ...any) {
		if failed != nil {
			return
		}
		arguments = fmt.Sprintf(arguments, a...)
		if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
			failed = fmt.Errorf("ip %s: %w: %s", arguments, err, out)
		}
	}
	name := fmt.Sprint("pb", os.Getpid()) // others may try the same beside it
	bridge := name + "b"
	undo := func(arguments string, a ...any) {
		t.Cleanup(func() { exec.Command("ip", strings.Fields(fmt.Sprintf(arguments, a...))...).Run() })
	}
	n := &network{}
	ip("link add %s type bridge", bridge)
	undo("link del %s", bridge)
	ip("link set %s up", bridge)
	for i := range servers {
		space, clients, others := fmt.Sprint(name, "n", i), fmt.Sprint(name, "c", i), fmt.Sprint(name, "s", i)
		block := 16*(os.Getpid()%8192) + 4*i // of 198.18.0.0/15, which is for tests
		host, server := testAddress(block+1), testAddress(block+2)
		ip("netns add %s", space)
		undo("netns del %s", space)
		ip("link add %s type veth peer name clients netns %s", clients, space)
		ip("link add %s type veth peer name servers netns %s", others, space)
		ip("addr add %s/30 dev %s", host, clients)
		ip("-n %s addr add %s/30 dev clients", space, server)
		ip("-n %s addr add 10.0.0.%d/24 dev servers", space, i+1) // nobody else sees these
		for _, link := range []string{"lo", "clients", "servers"} {
			ip("-n %s link set %s up", space, link)
		}
		ip("link set %s up", clients)
		ip("link set %s master %s up", others, bridge)
		n.settings.Hosts = append(n.settings.Hosts, natscluster.Host{
			Clients: server, Servers: fmt.Sprint("10.0.0.", i+1), Command: []string{"ip", "netns", "exec", space},
		})
	}
	n.part = func(server int, off bool) {
		change := "master " + bridge
		if off {
			change = "nomaster"
		}
		ip("link set %ss%d %s", name, server, change)
		testkit.NoError(t, failed)
	}
	return n, failed
}

func testAddress(n int) string { return fmt.Sprintf("198.%d.%d.%d", 18+n>>16, n>>8&255, n&255) }
