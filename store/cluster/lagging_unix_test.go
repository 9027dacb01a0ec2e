//go:build unix

package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store"
)

// TestServersThatLag: what was acknowledged before a bucket is read is found, though the server
// that it is read from may not have it yet.
func TestServersThatLag(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 3, natscluster.Settings{})
	cfg := configOf(servers)
	cfg.URL = "nats://" + servers.Servers[0].Addr // that one is not stopped
	a, b := openStore(t, cfg), openStore(t, cfg)
	things := store.BucketConfig{Name: "things"}
	ofA, ofB := testkit.Must(a.Bucket(testkit.Within(t), things))(t), testkit.Must(b.Bucket(testkit.Within(t), things))(t)
	const rounds, each = 12, 400
	for round := range rounds {
		lags := servers.Servers[1]
		if leader(t, servers, "pollbridge_TABLE_things") == "n1" {
			lags = servers.Servers[2]
		}
		lags.Signal(syscall.SIGSTOP)
		// Not for so long that it wants to lead then, which would depose the leader.
		goesOn := sync.OnceFunc(func() { lags.Signal(syscall.SIGCONT) })
		timer := time.AfterFunc(2*time.Second, goesOn)
		var writing sync.WaitGroup
		for i := range each {
			writing.Go(func() {
				if _, err := ofA.Put(testkit.Within(t), fmt.Sprintf("%d.%d", round, i), make([]byte, 4<<10), 0); err != nil {
					t.Error(err)
				}
			})
		}
		writing.Wait()
		timer.Stop()
		goesOn()
		var mu sync.Mutex
		found := map[string]bool{}
		find := func(key string) {
			mu.Lock()
			defer mu.Unlock()
			found[key] = true
		}
		match, how := fmt.Sprint(round, ".*"), "Each"
		if round%2 == 0 {
			testkit.NoError(t, ofB.Each(testkit.Within(t), func(rows []store.Record) {
				for _, row := range rows {
					find(row.Key)
				}
			}, match))
		} else {
			how = "Watch"
			ctx, stop := context.WithCancel(t.Context())
			testkit.Must(ofB.Watch(ctx, match, func(c store.Change) { find(c.Key) }))(t)
			stop()
		}
		mu.Lock()
		if len(found) != each {
			t.Errorf("round %d: %s finds %d records; want %d", round, how, len(found), each)
		}
		mu.Unlock()
	}
}

// leader is the name of the server that leads a stream.
func leader(t *testing.T, servers *natscluster.Cluster, stream string) string {
	t.Helper()
	js := testkit.Must(jetstream.New(servers.Connect(t, 0)))(t)
	return testkit.Must(js.Stream(testkit.Within(t), stream))(t).CachedInfo().Cluster.Leader
}
