package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// pending is what is known of a subject that is consumed, or that has items out.
type pending struct {
	q       *Queue
	subject string

	mu       sync.Mutex
	consumer *Consumer        // guarded by mu, as all below; nil: nobody consumes
	out      map[uint64]*Item // by their sequence
	round    int              // counts the consumers through which items were handed out
}

// Consumer is somebody who is handed the items of a subject.
type Consumer struct {
	pending  *pending
	n        int
	f        func(*Item)
	id       string // of what hands out to it, or may still do so
	made     int    // how many of them there were
	stop     context.CancelFunc
	stopped  chan struct{}
	backlog  int // items of before the consumer that have not come yet; below 0 when others come
	caughtUp chan struct{}
}

// Consume hands out the items of a subject to f, in their order, until the consumer is
// stopped; at most n of them are out at a time. f must not block: it hands the item on.
// What was out when the process was killed is handed out again at once: one process
// consumes a subject. What an earlier consumer of this process has out stays out.
func (q *Queue) Consume(ctx context.Context, subject string, n int, f func(*Item)) (*Consumer, error) {
	if err := checkTokens(subject); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("store: %d items at a time: want at least one", n)
	}
	t := &Consumer{n: n, f: f, stopped: make(chan struct{}), caughtUp: make(chan struct{})}
	if err := q.occupy(subject, t); err != nil {
		return nil, err
	}
	consumer, err := t.consume(ctx)
	if err != nil {
		t.leave()
		return nil, err
	}
	t.backlog = int(min(uint64(n), consumer.CachedInfo().NumPending))
	if t.backlog == 0 {
		close(t.caughtUp)
	}
	var running context.Context
	running, t.stop = context.WithCancel(q.s.ctx)
	q.s.running.Go(func() { t.run(running, consumer) })
	return t, nil
}

func (q *Queue) occupy(subject string, t *Consumer) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.pending[subject]
	if p == nil {
		p = &pending{q: q, subject: subject, out: map[uint64]*Item{}}
		q.pending[subject] = p
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consumer != nil {
		return fmt.Errorf("store: subject %s of queue %s already has a consumer", subject, q.name)
	}
	p.consumer, t.pending = t, p
	return nil
}

// leave makes way for another consumer.
func (t *Consumer) leave() {
	t.pending.mu.Lock()
	t.pending.consumer = nil
	t.pending.mu.Unlock()
	t.pending.forget()
}

// forget drops a subject of which nothing needs to be known.
func (p *pending) forget() {
	p.q.mu.Lock()
	defer p.q.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consumer == nil && len(p.out) == 0 {
		delete(p.q.pending, p.subject)
	}
}

// consume makes a new consumer at the server, through which all items of the subject are
// handed out anew. It lives in memory: none outlives the server.
func (t *Consumer) consume(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel, err := t.pending.q.s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if err := t.deleteConsumer(ctx); err != nil {
		return nil, err
	}
	t.id = nuid.Next() // known before it is there: the answer may get lost
	q := t.pending.q
	consumer, err := q.js.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Name: t.id, FilterSubject: q.s.prefix.subject(q.do(t.pending.subject, "*")),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.ackWait, MaxAckPending: t.n,
		MemoryStorage: true, InactiveThreshold: 5 * time.Minute,
	})
	if err != nil {
		return nil, q.s.failed("consume a subject", err)
	}
	t.made++
	t.pending.mu.Lock()
	t.pending.round++
	t.pending.mu.Unlock()
	return consumer, nil
}

// deleteConsumer returns what was handed to the consumer but not to f.
func (t *Consumer) deleteConsumer(ctx context.Context) error {
	if t.id == "" {
		return nil
	}
	err := t.pending.q.js.DeleteConsumer(ctx, t.id)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return t.pending.q.s.failed("leave a subject", err)
	}
	t.id = ""
	return nil
}

// run hands out items until ctx ends.
func (t *Consumer) run(ctx context.Context, consumer jetstream.Consumer) {
	defer close(t.stopped)
	defer t.leave()
	defer t.giveBack()
	s := t.pending.q.s
	s.insist(ctx, func(ctx context.Context) (err error) {
		if consumer == nil {
			consumer, err = t.consume(ctx)
		}
		if err == nil {
			err = t.handOut(ctx, consumer)
		}
		consumer = nil
		return err
	}, func(err error) {
		s.log.Warn("queue items are delayed", "queue", t.pending.q.name, "error", err)
	})
}

func (t *Consumer) giveBack() {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	t.deleteConsumer(ctx) // else it goes by itself after a while
}

// handOut hands out items until ctx ends, or the consumer is lost.
func (t *Consumer) handOut(ctx context.Context, consumer jetstream.Consumer) error {
	const (
		least   = 256  // see eachMessage: asked for, more than may be out
		most    = 4096 // or handing out very many items is a matter of round trips
		request = 5 * time.Minute
	)
	return eachMessage(ctx, consumer, func(m jetstream.Msg) error {
		if item := t.pending.take(m, t.made-1); item != nil {
			t.f(item)
		}
		if t.backlog--; t.backlog == 0 {
			close(t.caughtUp)
		}
		return nil
	}, jetstream.PullMaxMessages(min(max(t.n, least), most)), jetstream.PullExpiry(request))
}

// CaughtUp returns a channel that is closed when what was there before the consumer was
// handed out, or as much of it as may be out. It need not be if the consumer is stopped,
// or items were removed meanwhile.
func (t *Consumer) CaughtUp() <-chan struct{} { return t.caughtUp }

// Stop ends handing out. It returns when f is not called any more; items that are out
// can still be acknowledged or given back. It may be called more than once, but not by f.
func (t *Consumer) Stop() {
	t.stop()
	<-t.stopped
}

// take makes an item of a message. There is none if the item is out already, and the
// message only says through which consumer that is from now on, or if it cannot be
// decrypted. It may have come through that many consumers of the server before, none of
// which counts there any more.
func (p *pending) take(m jetstream.Msg, before int) *Item {
	s := p.q.s
	place, err := m.Metadata()
	if err != nil {
		s.log.Error("queue item cannot be read, skipping it", "queue", p.q.name, "error", err)
		return nil
	}
	name := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
	value, err := s.keys.decrypt(nil, p.q.place(p.subject, name), m.Data())
	if err != nil {
		s.log.Error("queue item cannot be decrypted, removing it", "queue", p.q.name, "name", name, "error", err)
		m.Term()
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.out[place.Sequence.Stream]
	if known != nil && known.round != p.round {
		known.reply, known.round = m.Reply(), p.round
		return nil
	}
	item := &Item{
		Subject: p.subject, Name: name, Value: value, Deliveries: before + int(place.NumDelivered),
		pending: p, sequence: place.Sequence.Stream, reply: m.Reply(), round: p.round,
	}
	p.out[item.sequence] = item
	return item
}
