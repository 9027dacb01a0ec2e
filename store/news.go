package store

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// news tells those who wait for a journal's next entry that there is one, whoever has
// appended it. The zero value is ready for use.
type news struct {
	once sync.Once
	mu   sync.Mutex
	come chan struct{} // closed when there may be a new entry; guarded by mu, as heard is
	// heard is the sequence of the newest entry that was heard of.
	heard uint64
}

// next returns a channel that is closed when there may be an entry that was not there
// before the call.
func (n *news) next(j *Journal) <-chan struct{} {
	n.mu.Lock()
	if n.come == nil {
		n.come = make(chan struct{})
	}
	come := n.come
	n.mu.Unlock()
	n.once.Do(func() {
		j.s.running.Go(func() {
			j.s.insist(j.s.ctx, func(ctx context.Context) error { return n.listen(ctx, j) }, func(err error) {
				j.s.log.Warn("news of a journal are delayed", "journal", j.name, "error", err)
			})
		})
	})
	return come
}

func (n *news) tell(newest uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = max(n.heard, newest)
	if n.come != nil {
		close(n.come)
		n.come = nil
	}
}

// listen hears of new entries from the server while that runs.
func (n *news) listen(ctx context.Context, j *Journal) error {
	// Nobody was told of what came before the server knows that somebody listens.
	return j.hear(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy, HeadersOnly: true},
		n.tell, func(m *message) error { n.tell(m.Sequence); return nil })
}

// newest is the sequence of the newest entry that was heard of; 0 if none was.
func (n *news) newest() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.heard
}
