//go:build trial

package trial_test

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// adaptive is the schedule that replicas have unless they are told otherwise.
const adaptive = "POLLBRIDGE_WATCH_SCHEDULE=adaptive"

// TestReplicasComeAndGo: ten replicas are started and stopped at random, some without a word, while
// signings end. Each end is told, under one id.
func TestReplicasComeAndGo(t *testing.T) {
	lasts, signings := time.Minute, 60
	if full {
		lasts, signings = 5*time.Minute, 300
	}
	l := newLab(t, 3, adaptive)
	for range 7 {
		l.replicas = append(l.replicas, l.newReplica())
	}
	l.front = front(t, l.replicas)
	for _, r := range l.replicas[3:] {
		r.Start()
	}
	for _, r := range l.replicas[3:] {
		r.ready()
	}
	stop := make(chan struct{})
	var going sync.WaitGroup
	going.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(rand.N(2 * time.Second)):
			}
			switch r := l.replicas[1+rand.N(len(l.replicas)-1)]; { // one stays, so that somebody is there
			case !r.Running():
				r.Start()
			case rand.N(2) == 0:
				r.Kill()
			default:
				r.Terminate()
			}
		}
	})
	var tokens []string
	const some = 6
	for next := time.NewTicker(lasts / time.Duration(signings/some)); len(tokens) < signings; <-next.C {
		tokens = append(tokens, l.sign(some, time.Second, 20*time.Second)...)
	}
	close(stop)
	going.Wait()
	// A session may change hands again before anybody has taken it up.
	late := l.delivered(tokens, time.Minute)
	t.Logf("the last of %d signings is told %v after its end", len(tokens), late.Round(time.Millisecond))
}

// TestRollingRestarts: replicas and servers of NATS are started anew one after the other, and
// neither clients nor receivers notice.
func TestRollingRestarts(t *testing.T) {
	l := newLab(t, 3)
	tokens := l.sign(60, 5*time.Second, 25*time.Second)
	stop := l.pollOn(tokens)
	for _, r := range l.replicas {
		r.Terminate()
		r.Start()
		r.ready()
		l.balanced()
	}
	for _, s := range l.nats.Servers {
		s.Terminate()
		s.Start()
		s.WaitHealthy()
		testkit.Eventually(t, "all replicas are ready", func() bool {
			for _, r := range l.replicas {
				if status, _ := r.call("GET", "/readyz", nil); status != 200 {
					return false
				}
			}
			return true
		})
	}
	late := l.delivered(tokens, moved)
	answers, wrong := stop()
	t.Logf("the last of %d signings is told %v after its end; clients were answered %v", len(tokens), late.Round(time.Millisecond), answers)
	if len(wrong) > 0 {
		t.Errorf("clients were answered wrongly: %v", wrong)
	}
	l.neverTwoForLong(tokens, 8)
}

// TestSlowReceiverWhileReplicasRestart: a webhook that is under way when its replica ends is not sent by another
// one, too.
func TestSlowReceiverWhileReplicasRestart(t *testing.T) {
	l := newLab(t, 3)
	l.hooks.Set(func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
		time.Sleep(2 * time.Second) // a receiver's own pace
		w.WriteHeader(http.StatusNoContent)
	})
	tokens := l.sign(90, 3*time.Second, 20*time.Second)
	for _, r := range l.replicas {
		r.Terminate()
		r.Start()
		r.ready()
		l.balanced()
	}
	late := l.delivered(tokens, moved)
	t.Logf("the last of %d signings is told %v after its end", len(tokens), late.Round(time.Millisecond))
	came := map[string][]string{}
	for _, w := range l.hooks.Got() {
		came[w.ID()] = append(came[w.ID()], w.At.Format("15:04:05.000"))
	}
	for id, times := range came {
		if len(times) > 1 {
			t.Errorf("%s came at %v", id, times)
		}
	}
}
