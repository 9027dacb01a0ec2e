package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is somebody who is handed items of a subject. All who consume a subject, in this
// process or in others, share one consumer of the server, which has the subject's name and
// hands each item to one of them.
type Consumer struct {
	q       *Queue
	subject string
	most    int
	f       func(*Item)
	stop    context.CancelFunc
	stopped chan struct{}
	settled chan struct{} // has an element when there may be room again

	mu  sync.Mutex
	out int // guarded by mu
}

const (
	// pullExpiry bounds how long the server hands items to a process that was stopped without
	// an end of its connection: to one that asks it does.
	pullExpiry = 4 * time.Second
	// mostPulled is how many items are asked for at a time.
	mostPulled = 4096
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
	c := &Consumer{q: q, subject: subject, most: n, f: f, stopped: make(chan struct{}), settled: make(chan struct{}, 1)}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(q.s.ctx)
	q.s.running.Go(func() { c.run(ctx) })
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
	consumer, err := c.q.js.Consumer(ctx, c.subject)
	if err != nil {
		return 0, c.q.s.failed("read", err)
	}
	return int(consumer.CachedInfo().NumPending), nil
}

// run hands out items until ctx ends.
func (c *Consumer) run(ctx context.Context) {
	defer close(c.stopped)
	c.q.s.insist(ctx, func(ctx context.Context) error {
		consumer, err := c.join(ctx)
		for err == nil && ctx.Err() == nil {
			err = c.pull(ctx, consumer)
		}
		return err
	}, func(err error) {
		c.q.s.log.Warn("queue items are delayed", "queue", c.q.name, "subject", c.subject, "error", err)
	})
}

// join makes the consumer at the server, or finds the one that others have made. It is changed
// only where its configuration is another one: many may come at once.
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
	consumer, err := c.q.js.CreateConsumer(ctx, cfg)
	if errors.Is(err, jetstream.ErrConsumerExists) {
		consumer, err = c.q.js.UpdateConsumer(ctx, cfg)
	}
	return consumer, c.q.s.failed("consume a subject", err)
}

// pull asks for as many items as there is room for, and hands them out. It returns when all
// of these have come, ctx has ended, or the server's consumer is lost.
func (c *Consumer) pull(ctx context.Context, consumer jetstream.Consumer) error {
	n := c.room(ctx)
	if n == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(n), jetstream.StopAfter(n), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return err
	}
	for range n {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			c.giveBack(messages)
			return err
		}
		c.handOut(m)
	}
	messages.Stop()
	return nil
}

// room waits until items may come, and returns how many; none if ctx ends.
func (c *Consumer) room(ctx context.Context) int {
	for ctx.Err() == nil {
		c.mu.Lock()
		room := c.most - c.out
		c.mu.Unlock()
		if room > 0 {
			return min(room, mostPulled)
		}
		select {
		case <-c.settled:
		case <-ctx.Done():
		}
	}
	return 0
}

// giveBack ends what was asked for, and gives back what comes until the server knows. Else
// that would stay here until its time is over.
func (c *Consumer) giveBack(messages jetstream.MessagesContext) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ctx, cancel = c.q.s.look(ctx)
	defer cancel()
	messages.Drain()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return
		}
		m.Nak()
	}
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
	if err != nil {
		q.s.log.Error("queue item cannot be decrypted, removing it", "queue", q.name, "name", name, "error", err)
		m.Term()
		return
	}
	c.mu.Lock()
	c.out++
	c.mu.Unlock()
	c.f(&Item{Subject: c.subject, Name: name, Value: value, consumer: c, sequence: place.Sequence.Stream, reply: m.Reply()})
}

// settle is told that an item is not out any more.
func (c *Consumer) settle() {
	c.mu.Lock()
	c.out--
	c.mu.Unlock()
	select {
	case c.settled <- struct{}{}:
	default:
	}
}
