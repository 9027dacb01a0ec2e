//go:build trial

package trial_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
)

// fault is done to a fleet while signings are under way.
type fault struct {
	name       string
	prepare    func(*lab) // may be nil; before any signing
	begin, end func(*lab) // end may be nil: it stays so
	// lasts is for how long, in the full form and in the short one.
	lasts, short time.Duration
	worst        time.Duration             // after its end a signing is told; besides how long the fault lasts, where the store is unusable
	changes      int                       // how often sessions may change hands; anyHands: each replica is on its own
	unusable     bool                      // the store cannot be used meanwhile, and the replicas say so
	in           func(*testing.T) *network // nil: a usual one
	settings     []string                  // of the replicas
	away         int                       // the number of the replica that cannot use the store meanwhile, and says so, from 1; 0: none
}

const (
	election = 8 * time.Second  // until another leader takes writes
	moved    = 16 * time.Second // until others look after what a replica did that died
	silent   = 20 * time.Second // the same where one gives no sign of life: its connections do not end
	anyHands = -1
)

var faults = []fault{
	{name: "a replica is killed", begin: func(l *lab) { l.replicas[2].Kill() }, worst: moved, changes: 1},
	{name: "a replica is killed, and the schedule learns", settings: []string{adaptive}, begin: func(l *lab) { l.replicas[2].Kill() }, worst: moved, changes: 1},
	{
		name:  "a replica stands still",
		begin: func(l *lab) { l.replicas[1].Signal(syscall.SIGSTOP) }, end: func(l *lab) { l.replicas[1].Signal(syscall.SIGCONT) },
		lasts: 20 * time.Second, short: 8 * time.Second, worst: silent, changes: 2,
	},
	{
		name:  "a replica stands still for a moment",
		begin: func(l *lab) { l.replicas[1].Signal(syscall.SIGSTOP) }, end: func(l *lab) { l.replicas[1].Signal(syscall.SIGCONT) },
		lasts: 3 * time.Second, short: 3 * time.Second, worst: moved, changes: 2,
	},
	{name: "a replica drains", begin: func(l *lab) { l.replicas[0].Terminate() }, worst: 4 * time.Second, changes: 1},
	{
		name: "a replica is cut off", begin: func(l *lab) { l.cut(l.replicas[1], true) }, end: func(l *lab) { l.cut(l.replicas[1], false) },
		lasts: 30 * time.Second, short: 10 * time.Second, worst: silent, changes: 2, away: 2,
	},
	{
		name: "a replica cannot reach the upstream, others can", prepare: (*lab).standApart, begin: func(l *lab) { l.apart.Refuse() }, end: func(l *lab) { l.apart.Serve() },
		lasts: 30 * time.Second, short: 10 * time.Second, worst: moved, changes: 2,
	},
	{
		name:  "a server is killed, and a replica",
		begin: func(l *lab) { l.leader("JOURNAL_events").Kill(); l.replicas[0].Kill() }, end: (*lab).startServers,
		lasts: 20 * time.Second, short: 5 * time.Second, worst: moved, changes: 2,
	},
	{
		name:  "the server that places streams and consumers is killed",
		begin: func(l *lab) { l.nats.Servers[l.nats.Leader(l.t)].Kill() }, end: (*lab).startServers,
		lasts: 20 * time.Second, short: 5 * time.Second, worst: moved, changes: 2,
	},
	{
		name: "a server is parted from two", in: newNetwork,
		begin: func(l *lab) { l.network.part(1, true) }, end: func(l *lab) { l.network.part(1, false) },
		lasts: 30 * time.Second, short: 8 * time.Second, worst: silent, changes: 2,
	},
	{
		name:  "two of three servers are gone",
		begin: func(l *lab) { l.nats.Servers[0].Kill(); l.nats.Servers[1].Kill() }, end: (*lab).startServers,
		lasts: time.Minute, short: 8 * time.Second, worst: moved, changes: 3, unusable: true,
	},
	{
		name:  "two of three servers stand still",
		begin: func(l *lab) { l.signalServers(syscall.SIGSTOP, 0, 2) }, end: func(l *lab) { l.signalServers(syscall.SIGCONT, 0, 2) },
		lasts: time.Minute, short: 8 * time.Second, worst: moved, changes: 3, unusable: true,
	},
	{
		name: "no server can be reached", begin: func(l *lab) { l.cutAll(true) }, end: func(l *lab) { l.cutAll(false) },
		lasts: time.Minute, short: 8 * time.Second, worst: moved, changes: anyHands, unusable: true,
	},
	{
		name: "the servers are slow", begin: func(l *lab) { l.slow(true) }, end: func(l *lab) { l.slow(false) },
		lasts: time.Minute, short: 8 * time.Second, worst: moved, changes: 2,
	},
	{
		name: "the servers are full", in: smallNetwork, begin: (*lab).fill, end: (*lab).makeRoom,
		lasts: time.Minute, short: 8 * time.Second, worst: moved, changes: 3, unusable: true,
	},
	{
		name: "a server comes back with an empty disk",
		begin: func(l *lab) {
			l.nats.Servers[1].Kill()
			testkit.NoError(l.t, os.RemoveAll(l.nats.Servers[1].Dir))
		}, end: (*lab).startServers,
		lasts: 20 * time.Second, short: 3 * time.Second, worst: moved, changes: 2,
	},
	{
		name: "the disk of a server is full", prepare: (*lab).smallDisk, begin: (*lab).fillDisk, end: (*lab).freeDisk,
		lasts: 20 * time.Second, short: 8 * time.Second, worst: moved, changes: 2,
	},
}

// Each stream has a leader, and each leader can be the one that goes.
func init() {
	for _, stream := range []string{"FINALS", "JOURNAL_events", "QUEUE_deliveries", "TABLE_fleet", "TABLE_sessions"} {
		var leader int // that was chosen
		faults = append(faults, fault{
			name:  "the leader of " + stream + " is killed",
			begin: func(l *lab) { l.leader(stream).Kill() }, end: (*lab).startServers,
			lasts: 20 * time.Second, short: 5 * time.Second, worst: moved, changes: 2,
		}, fault{
			name: "the leader of " + stream + " stands still",
			begin: func(l *lab) {
				leader = l.leaderAt(stream)
				l.signalServers(syscall.SIGSTOP, leader)
			},
			end:   func(l *lab) { l.signalServers(syscall.SIGCONT, leader) },
			lasts: 20 * time.Second, short: 8 * time.Second, worst: silent, changes: 2,
		})
	}
}

// TestFaults: whatever is done to one, the end of each signing is told once, and clients are
// answered.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			var n *network
			if f.in != nil {
				n = f.in(t)
			}
			l := newLabIn(t, n, 3, f.settings...)
			if f.prepare != nil {
				f.prepare(l)
			}
			lasts := f.short
			if full {
				lasts = f.lasts
			}
			const signings = 90
			tokens := l.sign(signings, time.Second, lasts+8*time.Second)
			stop := l.pollOn(tokens)
			time.Sleep(2 * time.Second) // some are over by then
			began := time.Now()
			f.begin(l)
			worst := f.worst
			if f.unusable {
				l.usable(false)
				l.finalsWait()
			}
			if f.away > 0 {
				l.usableAt(l.replicas[f.away-1], false)
				for _, other := range slices.Delete(slices.Clone(l.replicas), f.away-1, f.away) {
					l.usableAt(other, true)
				}
			}
			time.Sleep(lasts - time.Since(began))
			if n != nil {
				l.logReady()
			}
			if f.end != nil {
				f.end(l)
			}
			if f.unusable {
				worst += time.Since(began)
			}
			late := l.delivered(tokens, worst)
			answers, wrong := stop()
			t.Logf("the last of %d signings is told %v after its end; clients were answered %v", signings, late.Round(time.Millisecond), answers)
			if len(wrong) > 0 {
				t.Errorf("clients were answered wrongly: %v", wrong)
			}
			l.usable(true)
			l.stored(signings)
			if f.changes != anyHands {
				l.neverTwoForLong(tokens, f.changes)
			}
		})
	}
}

// smallNetwork is one whose servers store little.
func smallNetwork(*testing.T) *network {
	return &network{settings: natscluster.Settings{MaxStore: "64M"}}
}

// standApart has a replica reach the upstream by a way of its own.
func (l *lab) standApart() {
	l.t.Helper()
	r := l.replicas[1]
	l.apart = testkit.NewRelay(l.t, strings.TrimPrefix(l.up.url, "http://"))
	r.env = append(r.env, "POLLBRIDGE_UPSTREAM_URL=http://"+l.apart.Addr+"/"+r.public)
	r.Terminate()
	r.Start()
	r.ready()
	l.balanced()
}

// fill has somebody else store as much as the servers take, until makeRoom is called.
func (l *lab) fill() {
	l.t.Helper()
	ctx, stop := context.WithCancel(l.t.Context())
	stopped, full := make(chan struct{}), make(chan struct{})
	l.makesRoom = func() { stop(); <-stopped }
	nc := l.nats.Connect(l.t, 0)
	js, err := jetstream.New(nc)
	testkit.NoError(l.t, err)
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: filling, Subjects: []string{filling}, Replicas: 3})
	testkit.NoError(l.t, err)
	go func() {
		defer close(stopped)
		for once := sync.OnceFunc(func() { close(full) }); ctx.Err() == nil; {
			_, err := js.Publish(ctx, filling, make([]byte, 512<<10))
			if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == noResources {
				once()
				time.Sleep(10 * time.Millisecond)
			}
		}
	}()
	testkit.Receive(l.t, "the servers are full", full)
}

const (
	filling     = "filling"
	noResources = 10023 // what servers say that are full
)

func (l *lab) makeRoom() {
	l.t.Helper()
	l.makesRoom()
	l.ask(func(ctx context.Context, nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		return js.DeleteStream(ctx, filling)
	})
}

// smallDisk gives a server a small disk of its own, and has it lead.
func (l *lab) smallDisk() {
	l.t.Helper()
	s := l.nats.Servers[1]
	s.Kill()
	testkit.NoError(l.t, os.RemoveAll(s.Dir))
	testkit.NoError(l.t, os.Mkdir(s.Dir, 0o700))
	if err := syscall.Mount("tmpfs", s.Dir, "tmpfs", 0, "size=64m"); err != nil {
		l.t.Skipf("a small disk cannot be mounted: %v", err)
	}
	l.t.Cleanup(func() {
		s.Kill()
		testkit.NoError(l.t, syscall.Unmount(s.Dir, syscall.MNT_DETACH))
	})
	s.Start()
	s.WaitHealthy()
	l.lead("FINALS", s.Name)
	l.lead("JOURNAL_events", s.Name)
}

func (l *lab) filling() string { return filepath.Join(l.nats.Servers[1].Dir, filling) }

func (l *lab) fillDisk() {
	l.t.Helper()
	f, err := os.Create(l.filling())
	testkit.NoError(l.t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		l.t.Fatal(err)
	}
	testkit.Eventually(l.t, "the server says that it cannot be used", func() bool { return l.nats.Servers[1].Health() == http.StatusServiceUnavailable })
}

// freeDisk makes room again. The server does nothing about it before it is started anew.
func (l *lab) freeDisk() {
	l.t.Helper()
	testkit.NoError(l.t, os.Remove(l.filling()))
	l.nats.Servers[1].Terminate()
	l.startServers()
}
