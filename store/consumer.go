package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is somebody who is handed items of a subject. All who consume a subject, in this
// process or in others, share one consumer of the server, which has the subject's name and
// hands each item to one of them.
type Consumer struct {
	*puller
	q       *Queue
	subject string
	f       func(*Item)
	stop    context.CancelFunc
	stopped chan struct{}
}

const (
	// forgottenAfter is after which time without anybody who asks the server removes its consumer.
	forgottenAfter = 5 * time.Minute
	// mostOutOfAll is how many items of a subject are out at a time, of all processes together.
	mostOutOfAll = 1 << 20
)

// Consume hands out items of a subject to f until the consumer is stopped; at most n of them
// are out at a time. f must not block: it hands the item on. Items come in their order,
// except those that come again: after they were given back, when they were not heard of for
// QueueConfig.AckWait, or because the server lost what it knew of its consumers, which it
// keeps in memory. Then all that is out comes again, at once, to whoever consumes.
func (q *Queue) Consume(subject string, n int, f func(*Item)) (*Consumer, error) {
	if err := checkTokens(subject); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("store: %d items at a time: want at least one", n)
	}
	c := &Consumer{q: q, subject: subject, f: f, stopped: make(chan struct{})}
	c.puller = newPuller(q.s, n, c.join, c.handOut)
	var ctx context.Context
	ctx, c.stop = context.WithCancel(q.s.ctx)
	q.s.running.Go(func() {
		defer close(c.stopped)
		c.run(ctx, func(err error) {
			q.s.log.Warn("queue items are delayed", "queue", q.name, "subject", subject, "error", err)
		})
	})
	return c, nil
}

// Stop ends handing out. It returns when f is not called any more; items that are out can
// still be acknowledged or given back. It may be called more than once, but not by f.
func (c *Consumer) Stop() {
	c.stop()
	<-c.stopped
}

// Unclaimed returns how many items of the subject wait that were handed to nobody. It fails
// while the server has no consumer for it.
func (c *Consumer) Unclaimed(ctx context.Context) (int, error) {
	ctx, cancel := c.q.s.look(ctx)
	defer cancel()
	consumer, err := c.q.consumer(ctx, c.subject)
	if err != nil {
		return 0, c.q.s.failed("read", err)
	}
	return int(consumer.CachedInfo().NumPending), nil
}

// join makes the consumer at the server, or finds the one that others have made.
func (c *Consumer) join(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel, err := c.q.s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	cfg := jetstream.ConsumerConfig{
		Durable: c.subject, FilterSubject: c.q.s.prefix.subject(c.q.do(c.subject, "*")),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.q.ackWait, MaxAckPending: mostOutOfAll,
		MemoryStorage: true, InactiveThreshold: forgottenAfter,
	}
	consumer, err := ensureConsumer(ctx, c.q.js, cfg)
	return consumer, c.q.s.failed("consume a subject", err)
}

// handOut hands out a message as an item, unless that cannot be read.
func (c *Consumer) handOut(m jetstream.Msg) {
	q := c.q
	place, err := m.Metadata()
	if err != nil {
		q.s.log.Error("queue item cannot be read, skipping it", "queue", q.name, "error", err)
		return
	}
	name := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
	value, err := q.s.keys.decrypt(nil, q.place(c.subject, name), m.Data())
	switch {
	case err != nil && c.leavesToOthers(place.NumDelivered, func() {
		q.s.log.Error("queue item cannot be decrypted, leaving it to others", "queue", q.name, "name", name, "error", err)
	}):
		m.NakWithDelay(othersAgain)
		return
	case err != nil:
		q.s.log.Error("queue item cannot be decrypted, removing it", "queue", q.name, "name", name, "error", err)
		m.Term()
		return
	}
	c.begin()
	c.f(&Item{Subject: c.subject, Name: name, Value: value, consumer: c, sequence: place.Sequence.Stream, reply: m.Reply()})
}
