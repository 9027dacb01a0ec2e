package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A fleet is replicas of this tree's pollbridge that share a cluster of NATS; or one process alone.
type fleet struct {
	bench    *bench
	name     string
	settings []string
	nats     *natsCluster // nil: alone, with the engine that is built in
	replicas []*server
	upstream *upstream
	receiver *receiver
}

// fleetKind is a fleet that is measured.
type fleetKind struct {
	name     string
	replicas int
	shared   bool // a cluster of NATS
}

const (
	embedded      = "embedded engine"
	oneReplica    = "one replica"
	threeReplicas = "three replicas"
)

var fleetKinds = []fleetKind{{embedded, 1, false}, {oneReplica, 1, true}, {threeReplicas, 3, true}}

// startFleet starts a fleet with a cluster of its own, and waits until its work is shared. The
// caller must end it.
func (b *bench) startFleet(ctx context.Context, kind fleetKind, a api, settings ...string) (f *fleet, err error) {
	f = &fleet{bench: b, name: kind.name, settings: append(settings, "STORE_SYNC=always")}
	if f.upstream, err = newUpstream(a); err != nil {
		return nil, err
	}
	b.onClose(f.upstream.close)
	if f.receiver, err = newReceiver(a.sessions); err != nil {
		return nil, err
	}
	b.onClose(f.receiver.close)
	f.settings = append(f.settings, f.receiver.settings()...)
	if kind.shared {
		if err := f.share(ctx); err != nil {
			return nil, err
		}
	}
	return f, f.grow(ctx, kind.replicas)
}

// share starts what replicas share.
func (f *fleet) share(ctx context.Context) (err error) {
	if f.nats, err = f.bench.startNATS(ctx); err != nil {
		return err
	}
	dir, err := f.bench.folder("key")
	if err != nil {
		return err
	}
	key := filepath.Join(dir, "store.key")
	f.settings = append(f.settings, "STORE_NATS_URL="+f.nats.url(), "STORE_ENCRYPTION_KEY_FILE="+key)
	return os.WriteFile(key, []byte(strings.Repeat("5e", 32)), 0o600)
}

// grow starts replicas until there are n, each of which asks the upstream at an address of its
// own, and waits until all have their shares.
func (f *fleet) grow(ctx context.Context, n int) error {
	for len(f.replicas) < n {
		at, err := f.upstream.listen()
		if err != nil {
			return err
		}
		r, err := f.bench.startBefore(ctx, pollbridge, f.upstream, at, f.settings...)
		if err != nil {
			return err
		}
		f.replicas = append(f.replicas, r)
	}
	return f.replicas[0].await(ctx, time.Minute, f.balanced)
}

// balanced tells who has not its share yet, or nil.
func (f *fleet) balanced(ctx context.Context) error {
	text, err := f.replicas[0].manage(ctx, http.MethodGet, "/v1/replicas", "")
	if err != nil {
		return err
	}
	var list struct{ Items []struct{ Share float64 } }
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, r := range list.Items {
		if r.Share < 0.9/float64(len(f.replicas)) {
			err = fmt.Errorf("a replica has %.2f of all sessions", r.Share)
		}
	}
	if len(list.Items) != len(f.replicas) {
		err = fmt.Errorf("%d of %d replicas are there", len(list.Items), len(f.replicas))
	}
	return err
}

// watch has all sessions watched, see server.watch, by clients of all replicas.
func (f *fleet) watch(ctx context.Context) error {
	first := f.replicas[0]
	if err := first.subscribe(ctx, f.receiver); err != nil {
		return err
	}
	var addresses []string
	for _, r := range f.replicas {
		addresses = append(addresses, r.address)
	}
	err := first.watchAt(ctx, strings.Join(addresses, ","))
	if err != nil && f.nats != nil {
		err = fmt.Errorf("%w\n%s", err, f.said())
	}
	return err
}

// said is the end of what everybody has logged.
func (f *fleet) said() string {
	var text strings.Builder
	for _, r := range f.replicas {
		output, _ := os.ReadFile(r.output)
		fmt.Fprintf(&text, "%s:\n%s\n", r.address, tail(output))
	}
	for _, s := range f.nats.servers {
		output, _ := os.ReadFile(s.output)
		fmt.Fprintf(&text, "%s:\n%s\n", s.address, tail(output))
	}
	return text.String()
}

// awaitFinals waits until the ends of so many sessions have come.
func (f *fleet) awaitFinals(ctx context.Context, n int) error {
	return f.replicas[0].awaitCount(ctx, "final events", &f.receiver.finals, n)
}

// work is what a fleet has done since its start.
type work struct {
	at  time.Time
	cpu time.Duration // of all replicas
	traffic
}

func (f *fleet) work(ctx context.Context) (w work, err error) {
	for _, r := range f.replicas {
		w.cpu += usageOf(r.pid).cpu
		err = errors.Join(err, r.dead())
	}
	if err == nil && f.nats != nil {
		w.traffic, err = f.nats.traffic(ctx)
	}
	w.at = time.Now()
	return w, err
}

// cost is what was done between two moments.
type cost struct {
	seconds       float64
	cpu           float64 // seconds, of all replicas
	natsCPU       float64
	messages      float64 // between replicas and servers of NATS
	kilobytes     float64 // of these
	allMessages   float64 // and between the servers
	writes        float64 // to streams
	busiestWrites float64 // to the stream that is written to most
	streams       string  // writes to each
}

func (w work) since(before work) cost {
	c := cost{
		seconds: w.at.Sub(before.at).Seconds(), cpu: (w.cpu - before.cpu).Seconds(), natsCPU: (w.natsCPU - before.natsCPU).Seconds(),
		messages: w.messages - before.messages, kilobytes: (w.bytes - before.bytes) / 1000, allMessages: w.allMessages - before.allMessages,
	}
	for _, name := range slices.Sorted(maps.Keys(w.writes)) {
		n := w.writes[name] - before.writes[name]
		c.writes += n
		c.busiestWrites = max(c.busiestWrites, n)
		c.streams += fmt.Sprintf(" %s %.0f", name, n)
	}
	return c
}

// beyond is what was done beyond what an idle fleet does in that time, for each of n.
func (c cost) beyond(idle cost, n float64) cost {
	time := c.seconds / idle.seconds
	each := func(all, idle float64) float64 { return (all - idle*time) / n }
	return cost{
		c.seconds / n, each(c.cpu, idle.cpu), each(c.natsCPU, idle.natsCPU), each(c.messages, idle.messages), each(c.kilobytes, idle.kilobytes),
		each(c.allMessages, idle.allMessages), each(c.writes, idle.writes), c.busiestWrites / n, c.streams,
	}
}

// idle is what a fleet does while nobody asks anything.
func (f *fleet) idle(ctx context.Context, d time.Duration) (c cost, err error) {
	if err := pause(ctx, 2*time.Second); err != nil { // until what came before has settled
		return c, err
	}
	before, err := f.work(ctx)
	if err != nil {
		return c, err
	}
	if err := pause(ctx, d); err != nil {
		return c, err
	}
	now, err := f.work(ctx)
	return now.since(before), err
}

// end stops all that was started for a fleet.
func (f *fleet) end() {
	for _, r := range f.replicas {
		r.end()
	}
	if f.nats != nil {
		for _, s := range f.nats.servers {
			_ = s.stop()
			_ = os.RemoveAll(filepath.Dir(s.output))
		}
	}
	_ = f.upstream.close()
	_ = f.receiver.close()
}
