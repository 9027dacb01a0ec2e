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

// lane is one that is taken from, or that has items out.
type lane struct {
	q    *Queue
	name string

	mu    sync.Mutex
	taker *Taker           // guarded by mu, as all below; nil: nobody takes
	out   map[uint64]*Item // by their sequence
	round int              // counts the consumers through which items were handed out
}

// Taker is somebody who takes items from a lane.
type Taker struct {
	lane     *lane
	n        int
	f        func(*Item)
	consumer string // what hands out to it, or may still do so
	made     int    // how many of them there were
	stop     context.CancelFunc
	stopped  chan struct{}
	backlog  int // items of before the taker that have not come yet; below 0 when others come
	caughtUp chan struct{}
}

// Take hands out the items of a lane to f, in their order, until the taker is stopped;
// at most n of them are out at a time. f must not block: it hands the item on. What
// was out when the process was killed is handed out again at once: one process takes
// from a lane. What an earlier taker of this process has out stays out.
func (q *Queue) Take(ctx context.Context, name string, n int, f func(*Item)) (*Taker, error) {
	if err := checkTokens(name); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("store: taking %d items: want at least one", n)
	}
	t := &Taker{n: n, f: f, stopped: make(chan struct{}), caughtUp: make(chan struct{})}
	if err := q.occupy(name, t); err != nil {
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

func (q *Queue) occupy(name string, t *Taker) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lanes[name]
	if l == nil {
		l = &lane{q: q, name: name, out: map[uint64]*Item{}}
		q.lanes[name] = l
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taker != nil {
		return fmt.Errorf("store: lane %s of queue %s already has a consumer", name, q.name)
	}
	l.taker, t.lane = t, l
	return nil
}

// leave makes way for another taker.
func (t *Taker) leave() {
	t.lane.mu.Lock()
	t.lane.taker = nil
	t.lane.mu.Unlock()
	t.lane.forget()
}

// forget drops a lane of which nothing needs to be known.
func (l *lane) forget() {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taker == nil && len(l.out) == 0 {
		delete(l.q.lanes, l.name)
	}
}

// consume makes a new consumer, to which the engine hands out all items of the lane
// anew. Consumers live in memory: none outlives the engine.
func (t *Taker) consume(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel, err := t.lane.q.s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if err := t.deleteConsumer(ctx); err != nil {
		return nil, err
	}
	t.consumer = nuid.Next() // known before it is there: the answer may get lost
	q := t.lane.q
	consumer, err := q.js.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Name: t.consumer, FilterSubject: q.do(t.lane.name, "*"),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.renewal, MaxAckPending: t.n,
		MemoryStorage: true, InactiveThreshold: 5 * time.Minute,
	})
	if err != nil {
		return nil, q.s.failed("take from a lane", err)
	}
	t.made++
	t.lane.mu.Lock()
	t.lane.round++
	t.lane.mu.Unlock()
	return consumer, nil
}

// deleteConsumer returns what was handed to the taker but not to f.
func (t *Taker) deleteConsumer(ctx context.Context) error {
	if t.consumer == "" {
		return nil
	}
	err := t.lane.q.js.DeleteConsumer(ctx, t.consumer)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return t.lane.q.s.failed("leave a lane", err)
	}
	t.consumer = ""
	return nil
}

// run hands out items until ctx ends.
func (t *Taker) run(ctx context.Context, consumer jetstream.Consumer) {
	defer close(t.stopped)
	defer t.leave()
	defer t.giveBack()
	s := t.lane.q.s
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
		s.log.Warn("queue items are delayed", "queue", t.lane.q.name, "error", err)
	})
}

func (t *Taker) giveBack() {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	t.deleteConsumer(ctx) // else it goes by itself after a while
}

// handOut hands out items until ctx ends, or the consumer is lost.
func (t *Taker) handOut(ctx context.Context, consumer jetstream.Consumer) error {
	const (
		least   = 256  // see eachMessage: asked for, more than may be out
		most    = 4096 // or taking up very many items is a matter of round trips
		request = 5 * time.Minute
	)
	return eachMessage(ctx, consumer, func(m jetstream.Msg) error {
		if item := t.lane.take(m, t.made-1); item != nil {
			t.f(item)
		}
		if t.backlog--; t.backlog == 0 {
			close(t.caughtUp)
		}
		return nil
	}, jetstream.PullMaxMessages(min(max(t.n, least), most)), jetstream.PullExpiry(request))
}

// CaughtUp returns a channel that is closed when what was in the lane before the taker
// was handed out, or as much of it as may be out. It need not be if the taker is stopped,
// or items were removed meanwhile.
func (t *Taker) CaughtUp() <-chan struct{} { return t.caughtUp }

// Stop ends handing out. It returns when f is not called any more; items that are out
// can still be done or released. It may be called more than once, but not by f.
func (t *Taker) Stop() {
	t.stop()
	<-t.stopped
}

// take makes an item of a message. There is none if the item is out already, and the
// message only says through which consumer that is from now on, or if it cannot be
// decrypted. The taker may have had it through that many consumers before, none of which
// counts for the engine any more.
func (l *lane) take(m jetstream.Msg, before int) *Item {
	s := l.q.s
	place, err := m.Metadata()
	if err != nil {
		s.log.Error("queue item cannot be read, skipping it", "queue", l.q.name, "error", err)
		return nil
	}
	name := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
	value, err := s.keys.decrypt(nil, l.q.place(l.name, name), m.Data())
	if err != nil {
		s.log.Error("queue item cannot be decrypted, removing it", "queue", l.q.name, "name", name, "error", err)
		m.Term()
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.out[place.Sequence.Stream]
	if known != nil && known.round != l.round {
		known.reply, known.round = m.Reply(), l.round
		return nil
	}
	item := &Item{
		Lane: l.name, Name: name, Value: value, Tries: before + int(place.NumDelivered),
		lane: l, sequence: place.Sequence.Stream, reply: m.Reply(), round: l.round,
	}
	l.out[item.sequence] = item
	return item
}
