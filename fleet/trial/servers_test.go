//go:build trial

package trial_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
)

// stream asks the servers, all of which are there, about a stream.
func (l *lab) stream(name string, options ...jetstream.StreamInfoOpt) *jetstream.StreamInfo {
	l.t.Helper()
	var info *jetstream.StreamInfo
	l.ask(func(ctx context.Context, nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		stream, err := js.Stream(ctx, "pollbridge_"+name)
		if err != nil {
			return err
		}
		info, err = stream.Info(ctx, options...)
		return err
	})
	return info
}

// ask asks the servers until f succeeds: they may be without a leader for a while.
func (l *lab) ask(f func(ctx context.Context, nc *nats.Conn) error) {
	l.t.Helper()
	nc, err := nats.Connect(l.nats.URL())
	testkit.NoError(l.t, err)
	defer nc.Close()
	testkit.Eventually(l.t, "the servers answer", func() bool {
		ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Second)
		defer cancel()
		return f(ctx, nc) == nil
	})
}

func (l *lab) leader(stream string) *natscluster.Server {
	l.t.Helper()
	return l.nats.Servers[l.leaderAt(stream)]
}

// leaderAt returns which server leads a stream.
func (l *lab) leaderAt(stream string) int {
	l.t.Helper()
	name := l.stream(stream).Cluster.Leader
	l.t.Logf("%s leads %s", name, stream)
	return slices.IndexFunc(l.nats.Servers, func(s *natscluster.Server) bool { return s.Name == name })
}

// lead has a server lead a stream. Another one may be elected all the same, if that one lags.
func (l *lab) lead(stream, server string) {
	l.t.Helper()
	var asked time.Time
	testkit.Eventually(l.t, server+" leads "+stream, func() bool {
		if l.stream(stream).Cluster.Leader == server {
			return true
		}
		if time.Since(asked) > election {
			asked = time.Now()
			l.ask(func(ctx context.Context, nc *nats.Conn) error {
				_, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN.pollbridge_"+stream, []byte(`{"placement":{"preferred":"`+server+`"}}`))
				return err
			})
		}
		return false
	})
}

// startServers starts those that do not run.
func (l *lab) startServers() {
	l.t.Helper()
	for _, s := range l.nats.Servers {
		if !s.Running() {
			s.Start()
		}
	}
}

func (l *lab) signalServers(signal syscall.Signal, servers ...int) {
	for _, i := range servers {
		l.nats.Servers[i].Signal(signal)
	}
}

// usable waits until all replicas that run say that the store can be used, or that it cannot.
func (l *lab) usable(yes bool) {
	l.t.Helper()
	for _, r := range l.replicas {
		if r.Running() {
			l.usableAt(r, yes)
		}
	}
}

// usableAt is usable of one replica.
func (l *lab) usableAt(r *replica, yes bool) {
	l.t.Helper()
	status, metric := 503, "pollbridge_store_connected 0\n"
	if yes {
		status, metric = 200, "pollbridge_store_connected 1\n"
	}
	testkit.Eventually(l.t, fmt.Sprint(r.public, " says of the store that it can be used: ", yes), func() bool {
		got, _ := r.call("GET", "/readyz", nil)
		_, metrics := r.call("GET", "/metrics", nil)
		return got == status && strings.Contains(metrics, metric)
	})
}

// finalsWait waits until a replica says that final answers wait to be stored.
func (l *lab) finalsWait() {
	l.t.Helper()
	testkit.Eventually(l.t, "a replica says that final answers wait to be stored", func() bool {
		for _, r := range l.replicas {
			_, metrics := r.call("GET", "/metrics", nil)
			if strings.Contains(metrics, "pollbridge_finals_not_stored ") && !strings.Contains(metrics, "pollbridge_finals_not_stored 0\n") {
				return true
			}
		}
		return false
	})
}

// logReady logs how many replicas are ready.
func (l *lab) logReady() {
	ready := 0
	for _, r := range l.replicas {
		if status, _ := r.call("GET", "/readyz", nil); status == 200 {
			ready++
		}
	}
	l.t.Logf("in the end %d of %d replicas say that they are ready", ready, len(l.replicas))
}

// stored waits until so many final answers are stored, and none waits to be.
func (l *lab) stored(n int) {
	l.t.Helper()
	for _, r := range l.replicas {
		if r.Running() {
			r.nothingWaits()
		}
	}
	// A server that was parted may answer as the leader it was.
	testkit.Eventually(l.t, fmt.Sprint(n, " final answers are stored"), func() bool {
		info := l.finals()
		got := len(info.State.Subjects)
		if got != n {
			l.t.Logf("%s: %d final answers are stored, says %s", time.Now().Format(time.TimeOnly), got, info.Cluster.Leader)
			time.Sleep(time.Second)
		}
		return got == n
	})
}

// finals is the stream of final answers, with the subjects of those that are stored.
func (l *lab) finals() *jetstream.StreamInfo {
	l.t.Helper()
	return l.stream("FINALS", jetstream.WithSubjectFilter("pollbridge.FINALS.answer.>"))
}
