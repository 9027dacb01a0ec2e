package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/event"
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
	// joinEvery is how often it is looked for queues that others take from.
	joinEvery = 5 * time.Second
	// lookAfter is how long a consumer waits before it counts again what is in the queue.
	lookAfter = 100 * time.Millisecond
	// failuresToOpen is how many attempts in a row must fail before a receiver is left
	// alone for a moment: one that fails now and then gets there hardly ever.
	failuresToOpen = 10
	// mostInHand is how many jobs of a consumer are dealt with at a time, of which
	// Config.Concurrency are attempted: the others are being recorded.
	mostInHand = 256
	// lookForOld is how often what waits for its receiver is looked at for what is too old.
	lookForOld = 10 * time.Second
	// mostOut is how many items of the queue are out at a time.
	mostOut = 64
	// mostInLine is how many jobs from the log wait for a consumer in memory: what it does in
	// queueAfter. By way of the queue each would take three writes more.
	mostInLine = 8192
)

// consumer delivers to one receiver. What it has to do stands in line in memory: a few items
// of the queue, and what comes from the log while nothing older waits in the queue. An
// attempt has one of Config.Concurrency slots, and gives it back before it is recorded.
// While the receiver fails and the breaker is open, what comes goes to the queue, and waits
// there.
type consumer struct {
	s       *Service
	name    string
	breaker *breaker
	living  context.Context // ends when nothing is begun any more
	end     context.CancelFunc
	wake    chan struct{} // has an element when there may be something to begin

	mu       sync.Mutex
	jobs     map[string]*job // all of them, by name; guarded by mu, as all below
	line     []*job          // those that wait for their turn, in order
	noneOld  time.Time       // when nothing in line was found that needs no receiver
	inHand   int             // jobs that are dealt with
	attempts int             // slots that are taken
	items    int             // that are out
	wanted   bool            // there is something in the queue, now or later
	behind   bool            // something may wait in the queue that has not come into line
	spilling int             // jobs that are about to be put there
	added    uint64          // counts what was put there
	looked   time.Time       // when it was counted what is there
	lastUsed time.Time
}

func newConsumer(s *Service, name string) *consumer {
	c := &consumer{s: s, name: name, wake: make(chan struct{}, 1), jobs: map[string]*job{}, lastUsed: time.Now()}
	c.living, c.end = context.WithCancel(s.living)
	c.breaker = newBreaker(s, name)
	if v, left := s.others.told(name); left > 0 {
		c.breaker.hear(v, left)
	}
	return c
}

// run begins what can be begun, until the consumer is closed.
func (c *consumer) run() {
	defer c.giveBack()
	var taking *store.Consumer
	defer func() {
		if taking != nil {
			taking.Stop()
		}
	}()
	for c.living.Err() == nil {
		pause := c.begin()
		if taking == nil && c.wants() {
			taking = c.take()
		}
		pause = min(pause, c.catchUp(taking))
		select {
		case <-c.living.Done():
		case <-c.wake:
		case <-time.After(pause):
		}
	}
}

func (c *consumer) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *consumer) wants() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wanted
}

// take begins to take items off the queue, as others may do who share it.
func (c *consumer) take() *store.Consumer {
	taking, err := c.s.queue.Consume(c.name, mostOut, c.put)
	if err != nil {
		c.s.log.Error("cannot open a delivery queue, deliveries wait", "queue", c.name, "error", err)
	}
	return taking
}

// put takes an item of the queue in. If its job is there already, it ends with that.
func (c *consumer) put(item *store.Item) {
	w := readWork(item.Value)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items++
	j := c.jobs[item.Name]
	if j == nil {
		j = &job{name: item.Name, work: w, look: true}
		c.jobs[j.name] = j
		c.line = append(c.line, j)
		c.wakeUp()
	}
	if j.putAway {
		j.late = append(j.late, item)
		return
	}
	j.items = append(j.items, item)
}

// offer takes a job from the log in, unless it has to wait: for what is older and in the
// queue, for a receiver that fails, or because there are too many.
func (c *consumer) offer(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.living.Err() != nil {
		return false
	}
	if known := c.jobs[j.name]; known != nil {
		if known.done != nil {
			first, second := known.done, j.done
			known.done = func() { first(); second() }
		} else {
			known.done, known.since = j.done, j.since
		}
		return true
	}
	if c.behind || len(c.line) >= mostInLine || c.breaker.State() != gobreaker.StateClosed {
		return false
	}
	c.jobs[j.name] = j
	c.line = append(c.line, j)
	c.wakeUp()
	return true
}

// catchUp finds out whether something still waits in the queue that has not come into line,
// here or elsewhere, if that may have changed. It returns after which time it should be called
// again.
func (c *consumer) catchUp(taking *store.Consumer) (again time.Duration) {
	c.mu.Lock()
	added := c.added
	soon := lookAfter - time.Since(c.looked)
	if !c.behind || taking == nil || c.spilling > 0 || c.items >= mostOut {
		soon = time.Hour // whoever changes that wakes the consumer up
	}
	c.mu.Unlock()
	if soon > 0 {
		return soon
	}
	ctx, cancel := context.WithTimeout(c.living, storeTimeout)
	defer cancel()
	unclaimed, err := taking.Unclaimed(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = time.Now()
	if err == nil && unclaimed == 0 && added == c.added && c.spilling == 0 {
		c.behind = false
	}
	return lookAfter
}

// spill is told that a job goes to the queue, and so does what comes after it.
func (c *consumer) spill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spilling++
	c.wanted, c.behind = true, true
}

// spilled is told that it is there.
func (c *consumer) spilled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spilling--
	c.lastUsed = time.Now()
	c.wakeUp()
}

// scheduled is told that something was put into the queue that is due later.
func (c *consumer) scheduled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = true
	c.wakeUp()
}

// queued is told that something was put into the queue.
func (c *consumer) queued() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.added++
	c.wanted, c.behind = true, true
	c.wakeUp()
}

// begin begins jobs in their order: not while the store is unusable, where nothing of them
// could be recorded, nor while the breaker is open, nor beside another one while it is
// half-open. What was attempted does not wait for the receiver any more, nor what is too old to be
// attempted. It returns after which time it should be called again if nothing happens.
func (c *consumer) begin() (again time.Duration) {
	const nothing = time.Hour
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.living.Err() == nil && c.inHand < mostInHand && len(c.line) > 0 {
		if c.s.store.Err() != nil {
			return againAfter / 4
		}
		next := 0
		if wait, may := c.mayAttempt(); !may {
			if next = c.nextWithoutReceiver(); next < 0 {
				return min(wait, lookForOld)
			}
		}
		j := c.line[next]
		c.line = slices.Delete(c.line, next, next+1)
		c.inHand++
		j.inHand = true
		slot := !c.needsNoReceiver(j)
		if slot {
			c.attempts++
		}
		c.s.attempts.Go(func() { c.process(j, slot) })
	}
	return nothing
}

// nextWithoutReceiver is where in the line a job is that needs no receiver, -1 if none is. As there
// may be thousands, whose turn comes by and by, it does not look again at once. c.mu is held.
func (c *consumer) nextWithoutReceiver() int {
	if time.Since(c.noneOld) < lookForOld {
		return -1
	}
	next := slices.IndexFunc(c.line, c.needsNoReceiver)
	if next < 0 {
		c.noneOld = time.Now()
	}
	return next
}

// needsNoReceiver reports whether a job is to be recorded only.
func (c *consumer) needsNoReceiver(j *job) bool {
	return j.sent != nil || c.s.records.past(j.work.Recorded)
}

// mayAttempt reports whether another attempt may begin, or after which time that should be
// asked again if none ends. c.mu is held.
func (c *consumer) mayAttempt() (again time.Duration, may bool) {
	switch state := c.breaker.State(); {
	case state == gobreaker.StateOpen:
		return c.s.openFor / 4, false
	case state == gobreaker.StateHalfOpen && c.attempts > 0, c.attempts >= c.s.cfg.Concurrency:
		return time.Hour, false
	}
	return 0, true
}

// process deals with a job once.
func (c *consumer) process(j *job, slot bool) {
	free := sync.OnceFunc(func() {
		if slot {
			c.mu.Lock()
			c.attempts--
			c.mu.Unlock()
			c.wakeUp()
		}
	})
	err := worker{c.s}.deliver(c, j, free)
	free()
	if err != nil && !errors.Is(err, errNotNow) {
		c.s.log.Warn("cannot process a delivery, trying again", "item", j.name, "error", err)
	}
	if err != nil {
		c.putOff(j)
		return
	}
	c.finish(j)
}

// complete adds to a job what an item of an earlier version does not say.
func (c *consumer) complete(j *job, e *event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if j.work.Recorded.IsZero() {
		j.work.Type, j.work.Recorded = e.Type, e.Recorded
	}
}

// finish ends a job of which the record says all. That is enough, unless nobody takes any
// more who could tell the engine that the item is done.
func (c *consumer) finish(j *job) {
	c.mu.Lock()
	delete(c.jobs, j.name)
	items, done := j.items, j.done
	c.leaveLocked(j)
	c.mu.Unlock()
	c.wakeUp()
	for _, item := range items {
		err := error(nil)
		if c.living.Err() == nil {
			err = item.Ack()
		} else {
			ctx, cancel := storeContext()
			err = item.DoubleAck(ctx)
			cancel()
		}
		if err != nil {
			c.s.log.Warn("cannot acknowledge a finished delivery, it will come back", "item", j.name, "error", err)
		}
	}
	if done != nil {
		done()
	}
}

func (c *consumer) leaveLocked(j *job) {
	c.inHand--
	c.items -= len(j.items)
	if len(j.late) > 0 {
		again := &job{name: j.name, work: j.work, look: true, items: j.late}
		c.jobs[j.name] = again
		if c.living.Err() != nil {
			c.giveBackLocked(again)
		} else {
			c.line = append(c.line, again)
		}
	}
	c.lastUsed = time.Now()
}

// leaves is called before a job is put away until its next attempt: an item that comes from then
// on is that, however soon it comes, and not done with this one. It reports whether an item of
// the job is in the queue, or will be, and can be left there: it says as much as another one
// would.
func (c *consumer) leaves(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	j.putAway = true
	return j.queued && len(j.items) == 0
}

// putOff has a job stand in line again after a moment, at its head: it came before the
// others.
func (c *consumer) putOff(j *job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inHand--
	j.inHand, j.away = false, true
	if c.living.Err() != nil {
		c.giveBackLocked(j)
		return
	}
	time.AfterFunc(min(againAfter, c.s.openFor/4), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.jobs[j.name] == j && j.away {
			j.away = false
			c.line = slices.Insert(c.line, 0, j)
			if j.sent != nil {
				c.noneOld = time.Time{}
			}
			c.wakeUp()
		}
	})
	c.wakeUp()
}

// giveBack returns what was not begun, when nothing is begun any more: items to the queue,
// and of the rest the log knows.
func (c *consumer) giveBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = nil
	for _, j := range c.jobs {
		if !j.inHand {
			c.giveBackLocked(j)
		}
	}
}

func (c *consumer) giveBackLocked(j *job) {
	delete(c.jobs, j.name)
	for _, item := range slices.Concat(j.items, j.late) {
		item.Nak()
		c.items--
	}
	j.items, j.late, j.away = nil, nil, false
}

// overdue returns the jobs from the log that are not over after a time: those that wait, which
// the queue has to have, and which are no longer jobs until they come from there; and those that
// are dealt with, once. These stay with the log: an item of theirs could come to another process,
// which would make the attempt beside this one.
func (c *consumer) overdue(after time.Duration) (waiting, inHand []*job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.living.Err() != nil {
		return nil, nil
	}
	for _, j := range c.jobs {
		if j.done == nil || time.Since(j.since) < after || j.inHand && j.listed {
			continue
		}
		light := &job{name: j.name, work: j.work, done: j.done, since: j.since}
		if j.inHand {
			inHand = append(inHand, light)
			j.listed = true
			continue
		}
		waiting = append(waiting, light)
		j.done, j.queued = nil, true
		if j.sent == nil && len(j.items) == 0 {
			delete(c.jobs, j.name)
			j.away = false
			light.free = j.free // nobody else has its event
		}
	}
	if len(waiting) > 0 {
		c.wanted, c.behind = true, true
		c.line = slices.DeleteFunc(c.line, func(j *job) bool { return c.jobs[j.name] != j })
		slices.SortFunc(waiting, func(a, b *job) int { return a.since.Compare(b.since) })
	}
	return waiting, inHand
}

// drop ends a job from the log that was not begun, if there is one.
func (c *consumer) drop(name string) {
	c.mu.Lock()
	j := c.jobs[name]
	if j == nil || j.inHand || j.sent != nil || len(j.items) > 0 {
		c.mu.Unlock()
		return
	}
	delete(c.jobs, name)
	c.line = slices.DeleteFunc(c.line, func(waiting *job) bool { return waiting == j })
	done := j.done
	j.done, j.away = nil, false
	c.mu.Unlock()
	if done != nil {
		done()
	}
}

// takeOut takes the jobs for a subscription that came from the log and were not begun.
func (c *consumer) takeOut(subscription string) (found []*job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, j := range c.jobs {
		if j.work.Subscription != subscription || j.done == nil || j.inHand || j.sent != nil || len(j.items) > 0 {
			continue
		}
		delete(c.jobs, name)
		j.away = false
		found = append(found, &job{name: j.name, work: j.work, done: j.done, since: j.since})
	}
	c.line = slices.DeleteFunc(c.line, func(j *job) bool { return c.jobs[j.name] != j })
	return found
}

// has reports whether a delivery is in hand or in line.
func (c *consumer) has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobs[name] != nil
}

// dealsWith reports whether the delivery of an event from the log is in hand.
func (c *consumer) dealsWith(position uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobs {
		if j.inHand && j.done != nil && j.work.Position == position {
			return true
		}
	}
	return false
}

// underWay is how many attempts are.
func (c *consumer) underWay() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.attempts
}

// renew keeps the items that are out.
func (c *consumer) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobs {
		for _, item := range slices.Concat(j.items, j.late) {
			item.InProgress() // if that fails, the item comes back, and its record says what to do
		}
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

// closeIfIdle closes a consumer that had nothing to do for a while. Nothing is offered to it
// any more when it returns true.
func (c *consumer) closeIfIdle(after time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.jobs)+c.spilling > 0 || time.Since(c.lastUsed) <= after {
		return false
	}
	c.end()
	return true
}
