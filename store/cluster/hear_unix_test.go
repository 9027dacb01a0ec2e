//go:build unix

package cluster_test

import (
	"slices"
	"syscall"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store"
)

// TestHearsWithoutAServer: whoever was told of changes by a server that does not answer any more is
// told by another one, however many have to look for one, and though some are sent to that again.
func TestHearsWithoutAServer(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 3, natscluster.Settings{})
	cfg := configOf(servers)
	things := store.BucketConfig{Name: "things"}
	testkit.Must(openStore(t, cfg).Bucket(testkit.Within(t), things))(t)
	silent := slices.IndexFunc(servers.Servers, func(s *natscluster.Server) bool {
		return s.Name != leader(t, servers, "pollbridge_TABLE_things") && s != servers.Servers[servers.Leader(t)]
	})
	cfg.URL = "nats://" + servers.Servers[(silent+1)%3].Addr
	bucket := testkit.Must(openStore(t, cfg).Bucket(testkit.Within(t), things))(t)
	const watchers = 36
	told := map[string]chan struct{}{"a": make(chan struct{}, watchers), "b": make(chan struct{}, watchers)}
	for range watchers {
		testkit.Must(bucket.Watch(t.Context(), ">", func(c store.Change) { told[c.Key] <- struct{}{} }))(t)
	}
	hear := func(key string) {
		testkit.Must(bucket.Put(testkit.Within(t), key, nil, 0))(t)
		for range watchers {
			testkit.Receive(t, "news of "+key, told[key])
		}
	}
	hear("a")
	servers.Servers[silent].Signal(syscall.SIGSTOP)
	defer servers.Servers[silent].Signal(syscall.SIGCONT)
	hear("b")
}
