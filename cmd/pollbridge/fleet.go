package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pollbridge/admin"
	"pollbridge/admin/api"
	"pollbridge/cache"
	"pollbridge/fleet"
	"pollbridge/fleet/door"
	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/store/cluster"
	"pollbridge/watch"

	"github.com/sony/gobreaker/v2"
)

// openShared connects to the NATS cluster that a fleet shares.
func (b *bridge) openShared(ctx context.Context) (o store.Options, err error) {
	cfg := b.cfg.Store.NATS
	o.Prefix, o.Replicas, o.Shared = cfg.Prefix, cfg.Replicas, true
	if o.Key, err = store.LoadKey(b.cfg.Store.Data, "", false); err != nil {
		return o, err
	}
	connection, err := cluster.Open(ctx, cfg, b.log)
	if err != nil {
		return o, err
	}
	b.closers = append(b.closers, func() { b.step("connection to the NATS cluster", connection.Close()) })
	o.Connection, b.cluster = connection, connection
	return o, nil
}

// whyNot is why something failed: what the servers do not allow they do not answer either, so err may
// only say that there was no answer.
func (b *bridge) whyNot(err error) error {
	if err == nil || b.cluster == nil || b.cluster.Denied() == nil {
		return err
	}
	return b.cluster.Denied()
}

// openPause is how long after a failure opening is tried again.
const openPause = 500 * time.Millisecond

// openAgain reports whether it may help to try opening again: servers of NATS that have just begun
// to keep a stream do not know of it all at the same time.
func (b *bridge) openAgain(err error) bool {
	return b.cfg.Store.NATS.URL != "" && !errors.Is(err, cluster.ErrRefused) && !errors.Is(err, store.ErrDamaged)
}

// makeFleet makes this process one of a fleet, if there is one.
func (b *bridge) makeFleet(ctx context.Context) (err error) {
	if b.cfg.Store.NATS.URL == "" {
		return nil
	}
	name, _ := os.Hostname() // it is for people only
	b.fleet, err = fleet.Open(ctx, fleet.Options{
		Store: b.store, Log: b.log, Window: b.cfg.Cache.PendingTTL, Watches: func() int { return b.watcher.Live() },
		Replica: fleet.Replica{
			ID: b.id, Name: name, Version: programVersion(), Started: b.started,
			Keys: b.store.ID("adm_", slices.Sorted(slices.Values(b.cfg.Admin.Keys))...), StoreKeys: b.store.KeyNames(),
		},
	})
	if lacking, ok := errors.AsType[*fleet.KeyError](err); ok {
		return fmt.Errorf("store.encryption_key_file: the first key in %s is one that %s could not read with: put it behind the other keys, in the files of all replicas, and restart them "+
			"one after the other; then put it first (docs/fleet.md, Keys). A replica that was killed counts for another 30 s", b.cfg.Store.Data.EncryptionKeyFile, strings.Join(lacking.Replicas, ", "))
	}
	if err != nil {
		return err
	}
	return b.store.EncryptAnew(ctx)
}

// leaveFleet says that this replica is gone.
func (b *bridge) leaveFleet() {
	ctx, cancel := context.WithTimeout(context.Background(), handOver)
	defer cancel()
	b.step("leave the fleet", b.fleet.Close(ctx))
}

// way is how the cache asks the upstream, and where its final answers are.
func (b *bridge) way() (cache.Poller, cache.Finals) {
	if b.fleet == nil {
		return b.upstream, b.finals
	}
	b.door = door.New(door.Options{
		Fleet: b.fleet, Upstream: b.upstream, Holder: b.upstream, Finals: b.finals, Unkept: &b.unkept, Table: b.table, ID: func(v *session.Variant) string { return session.ID(b.store, v) }, Log: b.log, Held: held{b}, Subscriptions: subscriptions{b},
		LongestPoll: b.cfg.Upstream.LongestPoll(),
		Recent:      b.cfg.Cache.StaleIfError + b.cfg.Cache.PendingTTL,
		Remembered:  max(b.cfg.Store.Data.Retain, b.cfg.Cache.StaleIfError, b.cfg.Watch.Deadline) + time.Hour,
	})
	b.closers = append(b.closers, b.door.Close)
	return b.door, b.door.Finals()
}

// share is this process's part of the watches.
func (b *bridge) share() watch.Share {
	if b.fleet == nil {
		return nil
	}
	return share{b.fleet}
}

// replica is what this process is called in the store, nothing if it is alone.
func (b *bridge) replica() string {
	if b.fleet == nil {
		return ""
	}
	return b.id
}

// handOn has another replica know what was seen of a session here.
func (b *bridge) handOn(v *session.Variant, o *session.Observation, at time.Time) {
	b.door.Seen(v, o, at)
}

// share is a fleet as watches see it.
type share struct{ *fleet.Fleet }

func (s share) Slot(sessionID string) int { return fleet.SlotOf(sessionID) }

// sessions is what listeners need of watches.
type sessions interface {
	proxy.Watches
	admin.Sessions
}

// watches are those of all replicas.
func (b *bridge) watches() sessions {
	if b.fleet == nil {
		return b.watcher
	}
	if b.shared == nil {
		b.door.Open(b.statuses)
		b.shared = b.door.Watches(b.watcher)
	}
	return b.shared
}

// erase has memory forget what it knows about a question.
func (b *bridge) erase(ctx context.Context, v *session.Variant) error {
	if b.fleet == nil {
		b.statuses.Erase(v)
		return nil
	}
	return b.door.Erase(ctx, v)
}

// handOver bounds how long it may take to hand what this replica looks after to others.
const handOver = 2 * time.Second

// startFleet begins to look after sessions.
func (b *bridge) startFleet() error {
	if b.fleet == nil {
		return nil
	}
	if err := b.fleet.Start(holder{b.watcher}); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var looking sync.WaitGroup
	looking.Go(func() { b.lookForUpstream(ctx) })
	b.closers = append(b.closers, func() {
		stop()
		looking.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), handOver)
		defer cancel()
		b.door.Drain()
		b.step("hand over to other replicas", b.fleet.HandOver(ctx))
	})
	return nil
}

// lookForUpstream finds out, while the upstream fails, whether that is because it cannot be
// reached from here: then others look after what this replica does, if they can.
func (b *bridge) lookForUpstream(ctx context.Context) {
	const interval = 2 * time.Second
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		unwell := false
		if b.upstream.Breaker() != gobreaker.StateClosed.String() {
			reaching, cancel := context.WithTimeout(ctx, interval)
			unwell = b.upstream.Reach(reaching) != nil
			cancel()
		}
		b.fleet.SetUnwell(unwell)
	}
}

// holder is the watcher as a fleet sees it.
type holder struct{ *watch.Watcher }

func (h holder) Begin(slots []fleet.Slot) {
	begun := make([]watch.Slot, len(slots))
	for i, s := range slots {
		begun[i] = watch.Slot(s)
	}
	h.Watcher.Begin(begun)
}

// replicas are those that are there, or this one alone.
func (b *bridge) replicas() []api.Replica {
	if b.fleet == nil {
		name, _ := os.Hostname()
		return []api.Replica{{
			ID: b.id, Name: name, Version: programVersion(), StartedAt: b.started, State: b.replicaState(), Share: 1, Watches: b.watcher.Live(),
		}}
	}
	var replicas []api.Replica
	for _, r := range b.fleet.Replicas() {
		shown := api.Replica{
			ID: r.ID, Name: r.Name, Version: r.Version, StartedAt: r.Started, State: api.ReplicaServing,
			Share: float64(r.Slots) / fleet.Slots, Watches: r.Watches,
		}
		switch {
		case r.Draining:
			shown.State = api.ReplicaDraining
		case r.Unwell:
			shown.State = api.ReplicaUnwell
		}
		replicas = append(replicas, shown)
	}
	return replicas
}

func (b *bridge) replicaState() string {
	if b.draining.Load() {
		return api.ReplicaDraining
	}
	return api.ReplicaServing
}

// held knows of requests that are held, once there are any.
type held struct{ b *bridge }

func (h held) Holds(v *session.Variant) bool    { return h.b.longPolls.Holds(v) }
func (h held) HeldElsewhere(v *session.Variant) { h.b.longPolls.HeldElsewhere(v) }
func (h held) Fresh(v *session.Variant, o *session.Observation) time.Duration {
	return h.b.fresh(v, o)
}

// subscriptions know who wants to know of a session, once there are watches.
type subscriptions struct{ b *bridge }

func (s subscriptions) Wants(v *session.Variant) bool     { return s.b.watcher.Wants(v) }
func (s subscriptions) Current(ctx context.Context) error { return s.b.webhooks.Current(ctx) }

// serves is for how much longer what another replica has said of v serves, if one looks after its
// session.
func (b *bridge) serves(v *session.Variant) (left time.Duration, elsewhere bool) {
	if b.fleet == nil || b.fleet.Holds(session.ID(b.store, v)) {
		return 0, false
	}
	result, _ := b.statuses.Fresh([]byte(v.Key()), v.Locale)
	return result.TTL, true
}
