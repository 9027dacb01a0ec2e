package watch

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"

	"pollbridge/session"
)

// schedule makes an entry due at a time, unless a worker has it: then that decides. It
// needs the lock.
func (w *Watcher) schedule(e *entry, at time.Time) {
	e.due = at
	switch {
	case e.out || e.leaves || w.isGone(e):
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
// else. When all of them are busy, it waits: nothing overtakes. It begins when all watches of
// before are taken up.
func (w *Watcher) dispatch() {
	timer := time.NewTimer(mostBeforePolls)
	defer timer.Stop()
	select {
	case <-w.TakenUp():
	case <-timer.C:
	case <-w.ctx.Done():
		return
	}
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
	defer w.back(e)
	v := w.question(e)
	if v == nil {
		return
	}
	switch {
	case w.holds(e.id):
	case w.owns(e.id): // not for the moment
		w.mu.Lock()
		w.schedule(e, time.Now().Add(jittered(w.cfg.Interval)))
		w.mu.Unlock()
		return
	default: // it entered when End had looked, or leaves soon
		ctx, cancel := context.WithTimeout(w.ctx, leaving)
		defer cancel()
		w.letGo(ctx, e)
		return
	}
	o, failure := w.options.Ask(w.ctx, v)
	if w.ctx.Err() != nil || !w.noteAnswer(e, v, o, failure) {
		return
	}
	if err := w.settle(w.ctx, e, safe); err != nil {
		w.complain(e, err)
	}
}

// back is told that a worker has done with an entry.
func (w *Watcher) back(e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.out = false
	w.keep(e)
}

// question is what has to be asked about an entry now, nil if nothing has.
func (w *Watcher) question(e *entry) *session.Variant {
	w.mu.Lock()
	defer w.mu.Unlock()
	lag := time.Since(e.due)
	if w.isGone(e) || e.end != Watching || e.erased != nil || lag < 0 { // it was observed meanwhile
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
// of already, in most cases. It reports whether there is something to be made durable.
func (w *Watcher) noteAnswer(e *entry, v *session.Variant, o *session.Observation, err error) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if err != nil {
		o = nil
		e.failures++
		w.schedule(e, now.Add(jittered(retryAfter(w.cfg.Interval, e.failures))))
	} else {
		e.failures = 0
		news = e.note(v, o, w.cfg.NotFoundAfter)
		// The minimum is for observations that stay fresh for longer than an interval:
		// there is nothing to be had earlier, so do not spin.
		w.schedule(e, now.Add(max(w.cfg.Interval/10, w.nextDue(e, o).Sub(now))))
	}
	if deadline := e.created.Add(w.cfg.Deadline); e.erased == nil && e.end == Watching && !now.Before(deadline) {
		news = e.take(passed, sighting{e.variant, o, now}) || news
	} else if e.due.After(deadline) {
		w.schedule(e, deadline)
	}
	return news
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

func jittered(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }
