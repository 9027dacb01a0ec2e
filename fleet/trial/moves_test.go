//go:build trial

package trial_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPollsWhileSlotsMove: while replicas come and go and their slots with them, 48 clients poll signings
// old and new at the two that stay. None waits for long.
func TestPollsWhileSlotsMove(t *testing.T) {
	lasts := 20 * time.Second
	if full {
		lasts = 3 * time.Minute
	}
	l := newLab(t, 4)
	stay, others := l.replicas[:2], l.replicas[2:]
	stop := make(chan struct{})
	var going sync.WaitGroup
	moves := 0
	going.Go(func() {
		for ; ; moves++ {
			select {
			case <-stop:
				return
			case <-time.After(rand.N(time.Second)):
			}
			switch r := others[rand.N(len(others))]; {
			case !r.Running():
				r.Start()
			case rand.N(4) == 0:
				r.Kill()
			default:
				r.Terminate()
			}
		}
	})
	var made, polls atomic.Int64
	var mu sync.Mutex
	var slow []string
	var worst time.Duration
	for range 48 {
		going.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond): // a client's own pace
				}
				n := made.Load()
				if rand.N(20) == 0 {
					n = made.Add(1)
				}
				token := fmt.Sprint("move", max(0, n-rand.N(int64(50))))
				began := time.Now()
				status, answer := poll(stay[rand.N(len(stay))].public, token)
				took := time.Since(began).Round(time.Millisecond)
				polls.Add(1)
				mu.Lock()
				worst = max(worst, took)
				if took > slowPoll {
					slow = append(slow, fmt.Sprintf("%s of %s: %v", began.Format("15:04:05.000"), token, took))
				}
				mu.Unlock()
				if status != 200 {
					t.Errorf("%s is answered %d %.200s after %v", token, status, answer, took)
				}
			}
		})
	}
	time.Sleep(lasts)
	close(stop)
	going.Wait()
	t.Logf("%d polls while replicas came and went %d times: the slowest took %v; longer than %v: %v", polls.Load(), moves, worst, slowPoll, slow)
	// Looking for a holder, and the store, may take so long together while all of them are slow.
	if worst > 20*time.Second {
		t.Errorf("a poll took %v", worst)
	}
	for n := range made.Load() {
		if asked, most := l.up.asked(fmt.Sprint("move", n)); most > 1 {
			t.Errorf("move%d was polled %d times, up to %d at a time: %v", n, len(asked), most, l.up.together(fmt.Sprint("move", n)))
		}
	}
}
