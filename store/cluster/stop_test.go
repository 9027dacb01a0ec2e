package cluster_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store"
)

// TestStopsWhileItemsCome: what a server hands to a consumer that stops meanwhile others get, long
// before its time is over. Two of the three consumers are at another server than the one that hands
// items out, so that some are on their way between these when it stops.
func TestStopsWhileItemsCome(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 3, natscluster.Settings{})
	var queues [3]*store.Queue
	for i := range queues {
		cfg := configOf(servers)
		cfg.URL = "nats://" + servers.Servers[i].Addr
		s := openStore(t, cfg)
		queues[i] = testkit.Must(s.Queue(testkit.Within(t), store.QueueConfig{Name: "work", AckWait: 10 * time.Minute}))(t)
	}
	const adding, rounds, each = 8, 30, 20
	stop := make(chan struct{})
	var added sync.WaitGroup
	enough := sync.OnceFunc(func() {
		close(stop)
		added.Wait()
	})
	defer enough()
	for i := range adding {
		added.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := queues[i%len(queues)].Add(t.Context(), "a", fmt.Sprint(i, "-", n), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	consume := func(q *store.Queue, got chan<- struct{}) *store.Consumer {
		return testkit.Must(q.Consume("a", 64, func(item *store.Item) {
			item.Ack()
			select {
			case got <- struct{}{}:
			default:
			}
		}))(t)
	}
	for round := range rounds {
		got := make(chan struct{})
		consumer := consume(queues[round%len(queues)], got)
		for range each {
			testkit.Receive(t, "an item", got)
		}
		consumer.Stop()
	}
	enough()
	defer consume(queues[0], nil).Stop()
	testkit.Eventually(t, "all items are acknowledged", func() bool {
		now, _, err := queues[0].Waiting(testkit.Within(t), "a")
		testkit.NoError(t, err)
		return now == 0
	})
}
