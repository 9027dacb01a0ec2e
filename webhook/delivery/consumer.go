package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/store"
	"pollbridge/webhook/send"
)

const (
	// storeTimeout bounds what is asked of the engine about one delivery.
	storeTimeout = 5 * time.Second
	// idleAfter is how long a consumer without work is kept.
	idleAfter = time.Minute
	// againAfter is how long something waits that could not be done.
	againAfter = time.Second
	// failuresToOpen is how many attempts in a row must fail before a receiver is left
	// alone for a moment: one that fails now and then gets there hardly ever.
	failuresToOpen = 10
)

// consumer delivers to one receiver. It takes a few items off the queue; what they are
// about is read while others are attempted, Config.Concurrency at a time. While the
// receiver fails and the breaker is open, these wait here and cost nothing but their
// renewal, and all others stay in the engine.
type consumer struct {
	s       *Service
	name    string
	breaker *gobreaker.CircuitBreaker[send.Outcome]
	living  context.Context // ends when nothing is begun any more
	end     context.CancelFunc
	stopped chan struct{} // closed when nothing is taken any more
	slots   chan struct{} // holds one for each attempt under way

	mu       sync.Mutex
	busy     map[string]bool // guarded by mu, as below; names of items that are dealt with
	lastUsed time.Time
}

// job is an item that is dealt with, as often as it takes.
type job struct {
	*store.Item
	first bool  // it is not known to have come before
	sent  *sent // its last attempt, until that is recorded; nil: there was none
}

// sent is an attempt that was made.
type sent struct {
	send.Outcome
	sub *Subscription // to which; it may be gone since
}

var (
	errFailed = errors.New("the attempt failed")
	// errNotNow puts off an item: the receiver is left alone for a moment, there is no
	// room for the document, the store is unusable, or the service closes.
	errNotNow = errors.New("not now")
)

func newConsumer(s *Service, name string) *consumer {
	c := &consumer{s: s, name: name, stopped: make(chan struct{}), slots: make(chan struct{}, s.cfg.Concurrency), busy: map[string]bool{}, lastUsed: time.Now()}
	c.living, c.end = context.WithCancel(s.living)
	c.breaker = gobreaker.NewCircuitBreaker[send.Outcome](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1, // while half-open
		Timeout:     s.openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToOpen },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotNow) },
	})
	return c
}

// run takes items until the consumer is closed.
func (c *consumer) run() {
	defer close(c.stopped)
	for c.living.Err() == nil {
		ctx, cancel := context.WithTimeout(c.living, storeTimeout)
		taking, err := c.s.queue.Consume(ctx, c.name, 2*cap(c.slots), func(item *store.Item) {
			c.s.attempts.Go(func() { c.process(item) })
		})
		cancel()
		if err == nil {
			<-c.living.Done()
			taking.Stop()
			return
		}
		if c.living.Err() == nil {
			c.s.log.Warn("cannot open a delivery queue, deliveries wait", "queue", c.name, "error", err)
		}
		c.wait(againAfter)
	}
}

// wait returns false if the consumer was closed meanwhile.
func (c *consumer) wait(pause time.Duration) bool {
	select {
	case <-c.living.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// close stops taking, and gives back what waits. Attempts under way go on.
func (c *consumer) close() {
	c.end()
	<-c.stopped
}

// process deals with an item until that is done, or the consumer is closed.
func (c *consumer) process(item *store.Item) {
	j := &job{Item: item, first: item.Deliveries == 1}
	for renewed := time.Now(); ; {
		err := errNotNow
		if c.enter(j) {
			err = c.s.deliver(c, j)
			c.leave(item.Name)
			j.first = false
		}
		if err == nil {
			c.finish(item)
			return
		}
		if !errors.Is(err, errNotNow) {
			c.s.log.Warn("cannot process a delivery, trying again", "item", item.Name, "error", err)
		}
		if !c.wait(min(againAfter, c.s.openFor/4)) {
			item.Nak()
			return
		}
		if time.Since(renewed) > c.s.renewal/4 {
			item.InProgress() // if that fails, the item comes back, and its record says what to do
			renewed = time.Now()
		}
	}
}

// enter reports whether an item may be dealt with now: not while the store is unusable,
// where nothing of it could be recorded, nor while the breaker is open, nor beside another
// one while it is half-open, nor while the same one, added twice, is under way. One that
// was attempted does not wait for the receiver any more.
func (c *consumer) enter(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.breaker.State()
	switch {
	case c.living.Err() != nil, c.busy[j.Name], c.s.store.Err() != nil:
		return false
	case j.sent != nil:
	case state == gobreaker.StateOpen, state == gobreaker.StateHalfOpen && len(c.busy) > 0:
		return false
	}
	c.busy[j.Name] = true
	return true
}

func (c *consumer) leave(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, name)
	c.lastUsed = time.Now()
}

// finish removes an item. That its record is durable is enough, unless nobody takes any
// more who could tell the engine.
func (c *consumer) finish(item *store.Item) {
	err := error(nil)
	if c.living.Err() == nil {
		err = item.Ack()
	} else {
		ctx, cancel := storeContext()
		defer cancel()
		err = item.DoubleAck(ctx)
	}
	if err != nil {
		c.s.log.Warn("cannot acknowledge a finished delivery, it will come back", "item", item.Name, "error", err)
	}
}

// send makes an attempt unless the breaker forbids it; the error is errNotNow then, and
// where the attempt was cut short, which says nothing about the receiver.
func (c *consumer) send(ctx context.Context, m send.Message) (send.Outcome, error) {
	o, err := c.breaker.Execute(func() (send.Outcome, error) {
		o := c.s.sender.Send(ctx, m)
		switch {
		case o.Succeeded():
			return o, nil
		case ctx.Err() != nil:
			return o, errNotNow
		}
		return o, errFailed
	})
	if err == nil || errors.Is(err, errFailed) {
		return o, nil
	}
	return o, errNotNow
}

// idle is how long nothing has been dealt with.
func (c *consumer) idle() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.lastUsed)
}
