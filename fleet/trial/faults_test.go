//go:build fleet

package trial_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// fault is done to a fleet while signings are under way.
type fault struct {
	name string
	do   func(l *lab, lasts time.Duration) // begins and ends it
	// lasts is for how long, in the full form and in the short one.
	lasts, short time.Duration
	worst        time.Duration // after its end a signing is told, besides how long the fault lasts
	changes      int           // how often sessions may change hands
}

const (
	election = 8 * time.Second  // until another leader takes writes
	moved    = 16 * time.Second // until others look after what a replica did that died
)

var faults = []fault{
	{"a replica is killed", func(l *lab, _ time.Duration) { l.replicas[2].kill() }, 0, 0, moved, 1},
	{"a replica stands still", func(l *lab, lasts time.Duration) {
		l.replicas[1].signal(syscall.SIGSTOP)
		time.Sleep(lasts)
		l.replicas[1].signal(syscall.SIGCONT)
	}, 20 * time.Second, 8 * time.Second, moved, 2},
	{"a replica drains", func(l *lab, _ time.Duration) { l.replicas[0].drain() }, 0, 0, 4 * time.Second, 1},
	{"a server is killed", func(l *lab, lasts time.Duration) {
		l.nats.Servers[0].Kill()
		time.Sleep(lasts)
		l.nats.Servers[0].Start()
	}, 20 * time.Second, 5 * time.Second, moved, 2},
	{"a server stands still", func(l *lab, lasts time.Duration) {
		l.nats.Servers[1].Signal(syscall.SIGSTOP)
		time.Sleep(lasts)
		l.nats.Servers[1].Signal(syscall.SIGCONT)
	}, 20 * time.Second, 8 * time.Second, moved, 2},
	{"a server is killed, and a replica", func(l *lab, lasts time.Duration) {
		l.nats.Servers[2].Kill()
		l.replicas[0].kill()
		time.Sleep(lasts)
		l.nats.Servers[2].Start()
	}, 20 * time.Second, 5 * time.Second, moved, 2},
	{"a replica is cut off", func(l *lab, lasts time.Duration) {
		for _, relay := range l.relays[l.replicas[1]] {
			relay.cut.Store(true)
		}
		time.Sleep(lasts)
		for _, relay := range l.relays[l.replicas[1]] {
			relay.cut.Store(false)
		}
	}, 30 * time.Second, 10 * time.Second, moved, 2},
	{"two of three servers are gone", func(l *lab, lasts time.Duration) {
		l.nats.Servers[0].Kill()
		l.nats.Servers[1].Kill()
		time.Sleep(lasts)
		l.nats.Servers[0].Start()
		l.nats.Servers[1].Start()
	}, time.Minute, 8 * time.Second, moved, 3},
	{"a server comes back with an empty disk", func(l *lab, lasts time.Duration) {
		l.nats.Servers[1].Kill()
		testkit.NoError(l.t, os.RemoveAll(l.nats.Servers[1].Dir))
		time.Sleep(lasts)
		l.nats.Servers[1].Start()
	}, 20 * time.Second, 3 * time.Second, moved, 2},
}

// TestFaults: whatever is done to one, the end of each signing is told once, and clients are
// answered.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			l := newLab(t, 3)
			lasts := f.short
			if full() {
				lasts = f.lasts
			}
			n := 90
			tokens := l.sign(n, time.Second, lasts+8*time.Second)
			stop := l.pollOn(tokens)
			time.Sleep(2 * time.Second) // some are over by then
			f.do(l, lasts)
			late := l.delivered(tokens, lasts+f.worst)
			answers, wrong := stop()
			t.Logf("the last of %d signings is told %v after its end; clients were answered %v", n, late.Round(time.Millisecond), answers)
			if len(wrong) > 0 {
				t.Errorf("clients were answered wrongly: %v", fmt.Sprint(answers, wrong))
			}
			l.neverTwoForLong(tokens, f.changes)
		})
	}
}
