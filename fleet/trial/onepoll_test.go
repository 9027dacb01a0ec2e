//go:build fleet

package trial_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestOnePollInTheFleet: 48 clients who poll one session through three replicas make one request
// in a window, never two at once.
func TestOnePollInTheFleet(t *testing.T) {
	l := newLab(t, 3)
	const token = "one"
	end := time.Now().Add(5 * time.Second)
	var clients sync.WaitGroup
	asked := make(chan int, 48)
	for range 48 {
		clients.Go(func() {
			n := 0
			for ; time.Now().Before(end); n++ {
				if status, answer := poll(l.replicas[rand.N(len(l.replicas))].public, token); status != 200 {
					t.Errorf("a poll is answered %d %s", status, answer)
				}
				time.Sleep(20 * time.Millisecond) // a client's own pace
			}
			asked <- n
		})
	}
	clients.Wait()
	all := 0
	for range 48 {
		all += <-asked
	}
	polls, most := l.up.asked(token)
	t.Logf("%d polls of clients, %d of the upstream, up to %d at a time", all, len(polls), most)
	if len(polls) > 7 || most > 1 {
		t.Errorf("%d requests of the upstream in 5 s, up to %d at a time", len(polls), most)
	}
}
