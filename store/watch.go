package store

import (
	"context"
	"math"

	"github.com/nats-io/nats.go/jetstream"
)

// Change is what a watcher of a table is told: a record, or that a key has none any
// more (then only Key and Revision are set).
type Change struct {
	Record
	Gone bool
}

// Watch calls f for every record whose key matches, then returns, and goes on to call
// f for every later change until ctx ends; f is called by one goroutine at a time. A
// record that cannot be decrypted is logged and left out.
//
// Of several changes of one key in quick succession, f may see the last one only.
func (t *Table) Watch(ctx context.Context, match string, f func(Change)) error {
	if err := checkMatch(match); err != nil {
		return err
	}
	newest, _, err := t.bounds(ctx)
	if err != nil {
		return err
	}
	w := &watcher{t: t, match: t.subject(match), f: f, seen: newest}
	filter := w.match
	if match == ">" {
		filter = ""
	}
	err = t.scan(ctx, filter, 1, math.MaxInt, func(m *message) bool {
		if m.Sequence > newest {
			return false // comes as a change
		}
		if !gone(m) {
			w.tell(m)
		}
		return m.Sequence < newest && ctx.Err() == nil
	})
	if err != nil {
		return err
	}
	t.s.running.Go(func() { w.follow(ctx) })
	return nil
}

type watcher struct {
	t     *Table
	match string
	f     func(Change)
	seen  uint64 // all up to here was told
}

func (w *watcher) tell(m *message) {
	if gone(m) {
		w.f(Change{Record: Record{Key: w.t.key(m), Revision: m.Sequence}, Gone: true})
		return
	}
	if record, ok := w.t.readable(m); ok {
		w.f(Change{Record: record})
	}
}

// follow tells of changes until ctx or the store ends.
func (w *watcher) follow(ctx context.Context) {
	ctx, cancel := either(ctx, w.t.s.ctx)
	defer cancel()
	w.t.s.insist(ctx, w.round, func(err error) {
		w.t.s.log.Warn("table changes are delayed", "table", w.t.id, "error", err)
	})
}

// round tells of changes while the server runs.
func (w *watcher) round(ctx context.Context) error {
	create, cancel, err := w.t.s.use(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	consumer, err := w.t.js.OrderedConsumer(create, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{w.match}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.seen + 1,
	})
	if err != nil {
		return err
	}
	return eachMessage(ctx, consumer, func(received jetstream.Msg) error {
		m, _, err := receivedMessage(received)
		if err != nil {
			return err
		}
		w.seen = m.Sequence
		w.tell(m)
		return nil
	})
}
