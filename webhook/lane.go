package webhook

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"pollbridge/store"
)

const (
	// storePatience bounds what is asked of the engine about one delivery.
	storePatience = 5 * time.Second
	// laneIdle is how long a lane without work is kept.
	laneIdle = time.Minute
	// againAfter is how long an item waits that could not be dealt with.
	againAfter = time.Second
)

// lane delivers to one receiver: it takes items from one lane of the queue. Items that
// must not be tried now, because the receiver fails and its breaker is open, are kept
// waiting without a goroutine and without a write.
type lane struct {
	s       *Service
	name    string
	breaker *gobreaker.CircuitBreaker[outcome]

	mu       sync.Mutex
	taker    *store.Taker        // guarded by mu, like all below; nil: not yet, or not any more
	closed   bool                // nothing is begun any more
	running  map[string]struct{} // names of items that are dealt with
	waiting  []waitingItem
	wake     *time.Timer
	lastUsed time.Time
}

type waitingItem struct {
	*store.Item
	since, until time.Time // renewed since, waits until
}

// errFailed tells the breaker of an attempt without success.
var (
	errFailed   = errors.New("the attempt failed")
	errCutShort = errors.New("the attempt was cut short")
)

func newLane(s *Service, name string) *lane {
	l := &lane{s: s, name: name, running: map[string]struct{}{}, lastUsed: time.Now()}
	l.breaker = gobreaker.NewCircuitBreaker[outcome](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1, // while half-open
		Timeout:     s.openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToOpen },
		IsExcluded:  func(err error) bool { return errors.Is(err, errCutShort) },
	})
	return l
}

// failuresToOpen is how many attempts in a row must fail before a receiver is left
// alone for a moment: one that fails now and then gets there hardly ever.
const failuresToOpen = 10

// send makes an attempt unless the breaker is open.
func (l *lane) send(ctx context.Context, m message) (o outcome, admitted bool) {
	_, err := l.breaker.Execute(func() (outcome, error) {
		o = l.s.sender.send(ctx, m)
		switch {
		case o.Succeeded():
			return o, nil
		case ctx.Err() != nil:
			return o, errCutShort
		}
		return o, errFailed
	})
	return o, !errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests)
}

// take is given items by the store. It must not block.
func (l *lane) take(item *store.Item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		item.Release()
		return
	}
	now := time.Now()
	l.lastUsed = now
	l.waiting = append(l.waiting, waitingItem{item, now, now})
	l.pumpLocked()
}

// pump begins what can be begun.
func (l *lane) pump() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pumpLocked()
}

func (l *lane) pumpLocked() {
	if l.closed {
		return
	}
	now := time.Now()
	kept := l.waiting[:0]
	next := time.Time{}
	for _, w := range l.waiting {
		_, twice := l.running[w.Name]
		if now.Before(w.until) || twice || !l.admitsLocked() {
			if now.Sub(w.since) > l.s.renewal/4 {
				w.Renew() // if that fails, the item comes back, and its record says what to do
				w.since = now
			}
			if twice {
				w.until = now.Add(againAfter / 10)
			}
			if next.IsZero() || w.until.Before(next) {
				next = w.until
			}
			kept = append(kept, w)
			continue
		}
		l.running[w.Name] = struct{}{}
		l.s.attempts.Go(func() { l.run(w.Item) })
	}
	clear(l.waiting[len(kept):])
	l.waiting = kept
	if len(kept) > 0 {
		wait := max(time.Until(next), 5*time.Millisecond)
		if !l.admitsLocked() { // nothing else may happen in the lane to pump it
			wait = max(wait, min(l.s.openFor/4, time.Second))
		}
		l.wakeLocked(wait)
	}
}

func (l *lane) admitsLocked() bool {
	switch l.breaker.State() {
	case gobreaker.StateClosed:
		return true
	case gobreaker.StateHalfOpen:
		return len(l.running) == 0
	}
	return false
}

func (l *lane) wakeLocked(in time.Duration) {
	if l.wake == nil {
		l.wake = time.AfterFunc(in, l.pump)
		return
	}
	l.wake.Reset(in)
}

// run deals with one item.
func (l *lane) run(item *store.Item) {
	v := l.s.deliver(l, item)
	if v == done {
		l.finish(item)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, item.Name)
	now := time.Now()
	l.lastUsed = now
	switch {
	case v == done:
	case v == release || l.closed:
		item.Release()
	case v == again:
		l.waiting = append(l.waiting, waitingItem{item, now, now.Add(againAfter)})
	default:
		l.waiting = append([]waitingItem{{item, now, now}}, l.waiting...)
		if l.breaker.State() == gobreaker.StateClosed { // it was something else
			l.waiting[0].until = now.Add(againAfter)
		}
	}
	l.pumpLocked()
}

// finish removes an item. That its record is durable is enough, unless nobody takes any
// more who could tell the engine.
func (l *lane) finish(item *store.Item) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	err := error(nil)
	if closed {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.s.sending), storePatience)
		defer cancel()
		err = item.Done(ctx)
	} else {
		err = item.DoneSoon()
	}
	if err != nil {
		l.s.log.Warn("cannot acknowledge a finished delivery, it will come back", "item", item.Name, "error", err)
	}
}

// open begins to take. It may be called again.
func (l *lane) open(ctx context.Context) error {
	l.mu.Lock()
	started := l.taker != nil || l.closed
	l.mu.Unlock()
	if started {
		return nil
	}
	// Nobody else opens this lane: lanes sees to that.
	taker, err := l.s.queue.Take(ctx, l.name, l.s.cfg.Concurrency, l.take)
	if err != nil {
		return err
	}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.taker = taker
	}
	l.mu.Unlock()
	if closed {
		taker.Stop()
	}
	return nil
}

// close stops taking and gives back what has not begun. Attempts under way go on.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	taker := l.taker
	l.taker = nil
	waiting := l.waiting
	l.waiting = nil
	if l.wake != nil {
		l.wake.Stop()
	}
	l.mu.Unlock()
	if taker != nil {
		taker.Stop()
	}
	for _, w := range waiting {
		w.Release()
	}
}

// idle reports whether nothing has happened in the lane for a while.
func (l *lane) idle(now time.Time, after time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.running) == 0 && len(l.waiting) == 0 && now.Sub(l.lastUsed) > after
}

// state is for Stats.
func (l *lane) state() (underWay int, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.running), l.breaker.State() != gobreaker.StateClosed
}
