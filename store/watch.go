package store

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

// Change is what a watcher of a bucket is told: a record, or that a key has none any
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
func (b *Bucket) Watch(ctx context.Context, match string, f func(Change)) (*Watcher, error) {
	if err := checkMatch(match); err != nil {
		return nil, err
	}
	w := &Watcher{b: b, match: b.subject(match), f: f, news: make(chan struct{})}
	err := b.consume(ctx, jetstream.ConsumerConfig{FilterSubjects: []string{w.match}}, func(some []*message) {
		for _, m := range some {
			if !gone(m) {
				w.tell(m)
			}
			w.see(m.Sequence)
		}
	})
	if err != nil {
		return nil, err
	}
	b.s.running.Go(func() { w.follow(ctx) })
	return w, nil
}

// Watcher is told of changes of a bucket. Get one from [Bucket.Watch].
type Watcher struct {
	b     *Bucket
	match string
	f     func(Change)

	mu   sync.Mutex
	seen uint64        // all up to here was told; guarded by mu, as below
	news chan struct{} // closed when more was told
}

// Current waits until all changes that were made before the call, by whatever process, were told.
func (w *Watcher) Current(ctx context.Context) error {
	newest, err := w.b.last(ctx, w.match)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for {
		w.mu.Lock()
		seen, news := w.seen, w.news
		w.mu.Unlock()
		if seen >= newest.Sequence {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// see is told up to where all was told.
func (w *Watcher) see(sequence uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = sequence
	close(w.news)
	w.news = make(chan struct{})
}

func (w *Watcher) tell(m *message) {
	if gone(m) {
		w.f(Change{Record: Record{Key: w.b.key(m), Revision: m.Sequence}, Gone: true})
		return
	}
	if record, ok := w.b.readable(m); ok {
		w.f(Change{Record: record})
	}
}

// follow tells of changes until ctx or the store ends.
func (w *Watcher) follow(ctx context.Context) {
	ctx, cancel := period.Either(ctx, w.b.s.ctx)
	defer cancel()
	w.b.s.insist(ctx, w.round, func(err error) {
		w.b.s.log.Warn("changes of a bucket are delayed", "bucket", w.b.id, "error", err)
	})
}

// round tells of changes while the server runs.
func (w *Watcher) round(ctx context.Context) error {
	return w.b.hear(ctx, jetstream.ConsumerConfig{
		FilterSubjects: []string{w.match}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.seen + 1,
	}, nil, func(m *message) error {
		w.tell(m)
		w.see(m.Sequence)
		return nil
	})
}
