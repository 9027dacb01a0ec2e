package watch

import (
	"container/heap"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"pollbridge/session"
	"pollbridge/store"
)

// itemName names the item of a watch. A session that is watched once more has another
// one: the queue takes an item that it had a moment ago for a repeat.
func itemName(id string, generation uint64) string {
	return id + "-" + strconv.FormatUint(generation, 10)
}

// take is given the items of the queue: those of registrations a moment ago, and after
// a start, all that were watched before.
func (w *Watcher) take(item *store.Item) {
	r, err := w.readRecord(item.Value)
	id, _, _ := strings.Cut(item.Name, "-")
	item.Value = nil // it is not needed any more, and there may be many
	if err != nil {
		w.options.Log.Error("watch cannot be resumed", "session", id, "error", err)
		r.variant = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[id]
	if _, withdrawn := w.withdrawn[item.Name]; withdrawn && !known {
		w.options.Log.Debug("an item came after its session was erased", "session", id, "error", item.Ack())
		return
	}
	if !known {
		r.announced = false // nobody knows, until the record is read
		e = newEntry(id, r)
		w.live[id] = e
	}
	e.item, e.queued, e.finishing = item, true, false
	switch {
	case e.variant == nil:
		w.schedule(e, e.created.Add(w.cfg.Deadline))
	case !known, e.end != Watching:
		// Not all at the same moment: this may be one of very many.
		w.schedule(e, time.Now().Add(rand.N(min(w.cfg.Interval, time.Second))))
	}
}

// schedule makes an entry due at a time, unless a worker has it: then that decides. It
// needs the lock.
func (w *Watcher) schedule(e *entry, at time.Time) {
	e.due = at
	switch {
	case e.out || w.isGone(e):
		return
	case e.place >= 0:
		heap.Fix(&w.due, e.place)
	default:
		heap.Push(&w.due, e)
	}
	if e.place == 0 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// dispatch hands what is due to the workers, what was due first before everything
// else. When all of them are busy, it waits: nothing overtakes.
func (w *Watcher) dispatch() {
	w.letThemCome()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		e, wait := w.pop()
		if e != nil {
			select {
			case w.work <- e:
				continue
			case <-w.ctx.Done():
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-w.wake:
		case <-w.ctx.Done():
			return
		}
	}
}

// letThemCome waits until the watches of before were handed out: polling would take the
// processor from that, and each of them be late.
func (w *Watcher) letThemCome() {
	const most = 2 * time.Second
	select {
	case <-w.TakenUp():
	case <-time.After(most):
	case <-w.ctx.Done():
	}
}

// pop returns the entry that is due, or nil and how long that will be.
func (w *Watcher) pop() (*entry, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.due) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(w.due[0].due); wait > 0 {
		return nil, wait
	}
	e := heap.Pop(&w.due).(*entry)
	e.out = true
	return e, 0
}

func (w *Watcher) workUntilClosed() {
	for {
		select {
		case e := <-w.work:
			w.tick(e)
		case <-w.ctx.Done():
			return
		}
	}
}

// tick polls one session and says when it is due again.
func (w *Watcher) tick(e *entry) {
	err := w.settle(w.ctx, e)
	var v *session.Variant
	if err == nil {
		v = w.question(e)
	}
	if v != nil {
		o, failure := w.options.Ask(w.ctx, v)
		if w.ctx.Err() != nil {
			return // it was given back
		}
		w.noteAnswer(e, v, o, failure)
		err = w.settle(w.ctx, e)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e.out = false
	if w.ctx.Err() == nil {
		w.keep(e, err)
	}
}

// question is what has to be asked about an entry now, nil if nothing has.
func (w *Watcher) question(e *entry) *session.Variant {
	w.mu.Lock()
	defer w.mu.Unlock()
	lag := time.Since(e.due)
	if w.isGone(e) || e.end != Watching || e.variant == nil || lag < 0 { // it was observed meanwhile
		return nil
	}
	w.metrics.lag.Observe(lag.Seconds())
	if e.doubted {
		e.doubted = false
		return e.variant.Plain()
	}
	return e.variant
}

// noteAnswer takes note of what asking brought: an observation that the cache has told
// of already, in most cases.
func (w *Watcher) noteAnswer(e *entry, v *session.Variant, o *session.Observation, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if err != nil {
		o = nil
		e.failures++
		w.schedule(e, now.Add(jittered(retryAfter(w.cfg.Interval, e.failures))))
	} else {
		e.failures = 0
		e.note(v, o, w.cfg.NotFoundAfter)
		// The minimum is for observations that stay fresh for longer than an interval:
		// there is nothing to be had earlier, so do not spin.
		w.schedule(e, now.Add(max(w.cfg.Interval/10, w.nextDue(e, o).Sub(now))))
	}
	if deadline := e.created.Add(w.cfg.Deadline); e.end == Watching && !now.Before(deadline) {
		e.abandon(o, now)
	} else if e.due.After(deadline) {
		w.schedule(e, deadline)
	}
}

// nextDue is when an entry that was just observed is due. It needs the lock.
func (w *Watcher) nextDue(e *entry, o *session.Observation) time.Time {
	if e.doubted {
		return time.Now()
	}
	due := o.At.Add(w.cfg.gap(o.At.Sub(e.created)))
	if !e.missing.IsZero() {
		if believed := e.missing.Add(w.cfg.NotFoundAfter); believed.After(o.At) && believed.Before(due) {
			due = believed
		}
	}
	if deadline := e.created.Add(w.cfg.Deadline); due.After(deadline) {
		return deadline
	}
	return due
}

// retry makes an entry due again that could not be settled. It needs the lock.
func (w *Watcher) retry(e *entry, err error) {
	e.failures++
	wait := storeRetryAfter(e.failures)
	w.complaints.Do(func() {
		w.options.Log.Error("changes of watched sessions are not stored yet", "session", e.id, "again", wait, "error", err)
	})
	w.schedule(e, time.Now().Add(jittered(wait)))
}

func jittered(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }
