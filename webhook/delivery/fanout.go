package delivery

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/event"
	"pollbridge/internal/period"
	"pollbridge/store"
)

const (
	// queueAfter is after which time what came from the log and is not over is listed, and the
	// queue has to have it unless it is being attempted: so the log's follower is behind by no
	// more than an attempt, whatever receivers do. What only waits because thousands end at once
	// is over before that.
	queueAfter = 3 * time.Second
	// mostMemory is how many bytes of events may wait in memory, for all receivers together.
	mostMemory = 64 << 20
	// spills is how many jobs are put into the queue at a time, and spillLine how many wait
	// for each of them. Beyond it the log waits.
	spills    = 16
	spillLine = 1024
)

// fanOut hands events from the log to consumers, in memory. What a consumer cannot deal with
// soon becomes an item of the queue.
type fanOut struct {
	s        *Service
	began    uint64        // events up to here may have been handed out before
	known    uint64        // of those up to here each subscription is known that was there before them
	handed   atomic.Uint64 // the position of the last event that was handed out
	inFlight atomic.Int64  // jobs that are neither over nor in the queue
	memory   atomic.Int64  // about how much they take
	spill    [spills]chan spilling
}

// follower is the name by which the log is followed.
const follower = "fanout"

// unknown is the position of the last event that was handed out before the log is followed.
const unknown = math.MaxUint64

func newFanOut(s *Service) *fanOut {
	f := &fanOut{s: s}
	f.handed.Store(unknown)
	for i := range f.spill {
		f.spill[i] = make(chan spilling, spillLine)
	}
	return f
}

// start follows the log.
func (f *fanOut) start(ctx context.Context) {
	f.begin(ctx) // so that what is recorded from now on is in the backlog at once
	for _, jobs := range f.spill {
		f.s.background.Go(func() { f.spillAll(jobs) })
	}
	f.s.background.Go(func() { every(f.s.living, queueAfter/4, f.queueOverdue) })
	f.s.finishing.Go(f.follow)
}

func (f *fanOut) follow() {
	ctx := f.s.living
	for f.handed.Load() == unknown && ctx.Err() == nil && !f.begin(ctx) {
		period.Pause(ctx, againAfter)
	}
	if err := f.s.events.Follow(ctx, follower, f.event, f.finishes); err != nil && ctx.Err() == nil {
		f.s.log.Error("event delivery has stopped", "error", err)
	}
}

// begin finds out which events may have been handed out before.
func (f *fanOut) begin(ctx context.Context) bool {
	newest, err := f.s.events.Newest(ctx)
	if err == nil {
		f.began = newest
		f.handed.Store(newest) // until it is known better
	}
	return err == nil
}

// event hands an event to the consumers of all subscriptions that match. It may be given the
// same one again. done is called when each of its deliveries is safe: its record says how it
// went, or an item of the queue is there.
func (f *fanOut) event(ctx context.Context, e *event.Event, done func()) error {
	if err := f.current(ctx, e.Position); err != nil {
		return err
	}
	if err := f.s.subscriptions.FansOut(ctx, e); err != nil {
		return err // first, or what was handed out would be sent again
	}
	// A subscription that is enabled now either matches, or whoever recovers what it missed
	// gets to here, and the event is never in neither of the two. It counts as in flight meanwhile.
	f.inFlight.Add(1)
	f.handed.Store(e.Position)
	matching := f.s.subscriptions.Matching(e)
	f.inFlight.Add(int64(len(matching)) - 1)
	left := atomic.Int64{}
	left.Store(int64(len(matching)) + 1)
	over := func() {
		if left.Add(-1) == 0 {
			done()
		}
	}
	for _, sub := range matching {
		f.hand(ctx, sub, e, over)
	}
	over()
	return nil
}

// finishes reports, when nothing is begun any more, whether a delivery of an event is being dealt with: were the
// event handed to another process, that would make the same attempt.
func (f *fanOut) finishes(position uint64) bool {
	return slices.ContainsFunc(f.s.consumers.opened(), func(c *consumer) bool { return c.dealsWith(position) })
}

// current waits until it is known of each subscription that was made before the event at a
// position was recorded. Only the follower calls it.
func (f *fanOut) current(ctx context.Context, position uint64) error {
	if !f.s.store.Shared() || position <= f.known {
		return nil
	}
	// First, as it is as old as what is waited for at most. Whoever attaches a subscription that is not known
	// here by then finds the event.
	newest, err := f.s.events.Reach(ctx, position)
	if err == nil {
		err = f.s.subscriptions.Current(ctx)
	}
	if err == nil {
		f.known = newest
	}
	return err
}

func (f *fanOut) hand(ctx context.Context, sub *Subscription, e *event.Event, over func()) {
	j := &job{
		name: itemName(f.s.records.id(sub.ID, e.ID), e.Position, 0), work: workOf(sub.ID, e, 0), event: e, since: time.Now(),
		// An attached subscription may have been caught up with the event before.
		look: e.Position <= f.began || e.Again || sub.SharesConsumer,
	}
	size := j.size()
	f.memory.Add(size)
	free := sync.OnceFunc(func() { f.memory.Add(-size) })
	j.free = free
	j.done = func() {
		free()
		f.inFlight.Add(-1)
		over()
	}
	if f.memory.Load() > mostMemory || !f.s.consumers.offer(ctx, sub.Consumer, j) {
		f.queue(sub.Consumer, j)
	}
}

// queue has a job put into the queue, after those of its session that came before. On its way
// it is without its event: many may be, and they are beyond what memory is to hold.
func (f *fanOut) queue(consumer string, j *job) {
	c, _ := f.s.consumers.open(consumer)
	if c == nil {
		return // everything ends, and the log knows of it
	}
	c.spill()
	if j.free != nil {
		j.free()
	}
	f.put(spilling{&job{name: j.name, work: j.work, done: j.done, since: j.since}, c, false})
}

// spilling is a job on its way into the queue, or only into the list.
type spilling struct {
	*job
	consumer *consumer
	listOnly bool
}

func (f *fanOut) put(j spilling) {
	hash := fnv.New32a()
	hash.Write([]byte(j.work.Subject))
	select {
	case f.spill[hash.Sum32()%spills] <- j:
	case <-f.s.living.Done():
	}
}

func (f *fanOut) spillAll(jobs <-chan spilling) {
	for {
		select {
		case <-f.s.living.Done():
			return
		case j := <-jobs:
			f.spillOne(j)
		}
	}
}

// spillOne makes an item of a job, as often as it takes.
func (f *fanOut) spillOne(j spilling) {
	if !j.listOnly {
		defer j.consumer.spilled()
	}
	for living := f.s.living; living.Err() == nil; {
		err := f.spillOnce(j)
		if err == nil {
			return
		}
		if living.Err() == nil {
			f.s.log.Warn("cannot put a delivery into the queue, trying again", "item", j.name, "error", err)
		}
		period.Pause(living, againAfter)
	}
}

// spillOnce is not cut short when the service ends: one process would get an item that is there already, another one its
// event, and both would send.
func (f *fanOut) spillOnce(j spilling) error {
	ctx, cancel := storeContext()
	defer cancel()
	if j.listOnly {
		return f.s.list(ctx, j.consumer.name, j.work)
	}
	err := f.s.enqueue(ctx, j.consumer.name, j.work)
	if err == nil {
		j.done()
	}
	return err
}

// queueOverdue lists what takes too long, and puts it into the queue if it only waits.
func (f *fanOut) queueOverdue() {
	if f.inFlight.Load() == 0 {
		return
	}
	for _, c := range f.s.consumers.opened() {
		waiting, inHand := c.overdue(queueAfter)
		for _, j := range waiting {
			f.queue(c.name, j)
		}
		for _, j := range inHand {
			f.put(spilling{j, c, true})
		}
	}
}

// waiting is how many deliveries have not come so far that their record or the queue tells
// of them. An event that was not handed out yet counts as one.
func (f *fanOut) waiting(ctx context.Context) (int, error) {
	if f.s.store.Shared() {
		waiting, out, err := f.s.events.Behind(ctx, follower)
		return waiting + max(out, int(f.inFlight.Load())), err
	}
	coming := 0
	if handed := f.handed.Load(); handed != unknown { // first, or what is handed out meanwhile would be missed
		var err error
		if coming, err = f.s.events.CountAfter(ctx, handed); err != nil {
			return 0, err
		}
	}
	return coming + int(f.inFlight.Load()), nil
}

// Safe reports whether each delivery of the events up to a position is, whichever process has
// handed them out: none of those events is handed out again after a crash.
func (s *Service) Safe(ctx context.Context, position uint64) (bool, error) {
	followed, err := s.events.Followed(ctx, follower)
	if err != nil || followed >= position {
		return err == nil, err
	}
	left, err := s.events.CountAfter(ctx, followed) // the last ones may have been erased
	return left == 0, err
}

// enqueue makes it durable that an event is to be delivered, and lists it.
func (s *Service) enqueue(ctx context.Context, consumer string, w work) error {
	id := s.records.id(w.Subscription, w.Event)
	if err := s.queue.Add(ctx, consumer, itemName(id, w.Position, w.Round), store.JSON(w)); err != nil {
		return fmt.Errorf("webhook: adding a delivery: %w", err)
	}
	s.consumers.ensure(consumer)
	if w.Round > 0 {
		return nil // it is listed, and whoever begins the round says so
	}
	return s.list(ctx, consumer, w)
}

// list records that a delivery waits, or is under way for longer than a moment.
func (s *Service) list(ctx context.Context, consumer string, w work) error {
	d := s.records.begun(w)
	d.Consumer = consumer
	err := s.records.write(ctx, d)
	if err == nil {
		err = s.records.reconcile(ctx, d)
	}
	if errors.Is(err, store.ErrConflict) || errors.Is(err, errErased) { // or its attempt was quicker
		return nil
	}
	return err
}

// later puts a job away until the time of its next attempt.
func (s *Service) later(ctx context.Context, c *consumer, j *job, d *delivery) error {
	if c.leaves(j) {
		return nil // when it comes it is put away
	}
	if err := s.queue.AddAt(ctx, c.name, j.name, store.JSON(j.work), d.Next); err != nil {
		return fmt.Errorf("scheduling a retry: %w", err)
	}
	c.scheduled()
	sub, err := s.subscription(ctx, d.Subscription)
	if err != nil {
		return err
	}
	if sub != nil {
		return nil
	}
	// Whoever has deleted it may have looked for what waits before this did.
	if err := s.queue.Remove(ctx, c.name, j.name); err != nil {
		return err
	}
	return s.conclude(ctx, d, Dead, reasonDeleted)
}
