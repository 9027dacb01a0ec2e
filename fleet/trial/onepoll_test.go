//go:build trial

package trial_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
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

// TestAReplicaThatIsSlow: one that gives no sign of life for a few seconds is waited for by those who have
// nothing else to be answered with, but not until it would have stopped by itself.
func TestAReplicaThatIsSlow(t *testing.T) {
	l := newLab(t, 3)
	var clients sync.WaitGroup
	var mu sync.Mutex
	var worst time.Duration
	var tokens []string
	l.replicas[0].Signal(syscall.SIGSTOP)
	for i := range 30 { // of which it looks after some
		token := fmt.Sprint("new", i)
		tokens = append(tokens, token)
		clients.Go(func() {
			began := time.Now()
			if status, answer := poll(l.replicas[1+i%2].public, token); status != 200 {
				t.Errorf("the first poll of %s is answered %d %s", token, status, answer)
			}
			mu.Lock()
			defer mu.Unlock()
			worst = max(worst, time.Since(began))
		})
	}
	time.Sleep(2500 * time.Millisecond)
	l.replicas[0].Signal(syscall.SIGCONT)
	clients.Wait()
	t.Logf("the slowest poll took %v", worst.Round(time.Millisecond))
	if worst > 7*time.Second { // it would have stopped after 8 s, and nobody asks for a window after that
		t.Errorf("a poll took %v", worst)
	}
	for _, token := range tokens {
		if polls, most := l.up.asked(token); most > 1 {
			t.Errorf("%s was polled %d times, up to %d at a time", token, len(polls), most)
		}
	}
	l.neverTwoForLong(tokens, 1)
}

// TestPollsUnderWayAreHandedOver: where a replica drains while its polls are under way, no other one
// makes a second one beside it, and all who wait get what it gets, though that is given only once. Each
// end is told.
func TestPollsUnderWayAreHandedOver(t *testing.T) {
	rounds := 1
	if full {
		rounds = 6
	}
	l := newLab(t, 3)
	for round := range rounds {
		if round > 0 {
			l.replicas[0].Start()
			l.replicas[0].ready()
			l.balanced()
		}
		l.drainWithPolls(fmt.Sprint("slow", round, "x"), 30)
	}
}

// drainWithPolls has a replica drain while so many polls are under way, some of them its own.
func (l *lab) drainWithPolls(name string, n int) {
	t := l.t
	t.Helper()
	var tokens []string
	var clients sync.WaitGroup
	for i := range n {
		token := fmt.Sprint(name, i)
		tokens = append(tokens, token)
		l.up.mu.Lock()
		s := l.up.signing(token)
		s.takes, s.once, s.ends = 3*time.Second, true, time.Now()
		l.up.mu.Unlock()
		for _, r := range l.replicas[1:] {
			clients.Go(func() {
				if status, answer := poll(r.public, token); status != 200 || !strings.Contains(answer, "JVBERi0=") {
					t.Errorf("%s is answered %d %s", token, status, answer)
				}
			})
		}
	}
	testkit.Eventually(t, "all are asked for", func() bool {
		return !slices.ContainsFunc(tokens, func(token string) bool { polls, _ := l.up.asked(token); return len(polls) == 0 })
	})
	l.replicas[0].Terminate()
	clients.Wait()
	for _, token := range tokens {
		if polls, most := l.up.asked(token); len(polls) != 1 || most != 1 {
			t.Errorf("%s was polled %d times, up to %d at a time", token, len(polls), most)
		}
	}
	l.delivered(tokens, time.Minute)
}
