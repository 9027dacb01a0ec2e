package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"pollbridge/session"
	"pollbridge/tracing"
)

// schedule makes an entry due at a time, unless a worker has it: then that decides. It
// needs the lock.
func (w *Watcher) schedule(e *entry, at time.Time) {
	e.due, e.wanted = at, at
	if e.failures > 0 || e.observed.IsZero() {
		e.since = time.Now()
	} else {
		e.since = e.observed
	}
	w.awaitDue(e)
}

// awaitDue has an entry wait until it is due. It needs the lock.
func (w *Watcher) awaitDue(e *entry) {
	if e.out || e.leaves || w.isGone(e) {
		return
	}
	if w.due.Put(&e.turn, e.due, e.since) {
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

func (w *Watcher) workUntilClosed() {
	for {
		select {
		case e := <-w.work:
			if w.tick(e) {
				w.pause(jittered(crowdedPause))
			}
		case <-w.ctx.Done():
			return
		}
	}
}

// crowdedPause is how long a worker rests after it could not ask, as too many do.
const crowdedPause = 100 * time.Millisecond

// tick polls one session and says when it is due again. It reports whether the upstream takes no
// more polls for the moment: then the session keeps its place.
func (w *Watcher) tick(e *entry) (crowded bool) {
	defer w.back(e)
	v, lag := w.question(e)
	if v == nil {
		return false
	}
	switch {
	case w.holds(e.id):
	case w.owns(e.id): // not for the moment
		w.mu.Lock()
		w.schedule(e, time.Now().Add(jittered(w.cfg.Interval)))
		w.mu.Unlock()
		return false
	default: // it entered when End had looked, or leaves soon
		ctx, cancel := context.WithTimeout(w.ctx, leaving)
		defer cancel()
		w.letGo(ctx, e)
		return false
	}
	span := w.options.Tracer.Turn(e.begun, v.Endpoint.Name, e.id, lag)
	defer span.End()
	ctx := tracing.With(w.ctx, span)
	o, failure := w.options.Ask(ctx, v, w.knownAt(e))
	if o != nil {
		span.State(o.State.String())
	}
	if w.ctx.Err() != nil {
		return false
	}
	switch {
	case isCrowded(failure) && w.keepsPlace(e, v):
		return true
	case w.holdBack(e, v, failure):
		return false
	}
	tracing.Observe(w.metrics.lag, lag.Seconds(), span.Context())
	if !w.noteAnswer(e, v, o, failure) {
		return false
	}
	if err := w.settle(ctx, e, safe); err != nil {
		w.complain(e, err)
	}
	return false
}

// keepsPlace reports whether an entry goes on to be due as it was, to be asked about with v.
func (w *Watcher) keepsPlace(e *entry, v *session.Variant) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !time.Now().Before(e.created.Add(w.cfg.Deadline)) {
		return false
	}
	e.doubted = e.doubted || v != e.variant
	return true
}

// isCrowded reports whether an error says that the upstream was not asked since too many are.
func isCrowded(err error) bool {
	crowded, ok := errors.AsType[interface {
		error
		Crowded() bool
	}](err)
	return ok && crowded.Crowded()
}

// back is told that a worker has done with an entry.
func (w *Watcher) back(e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.out = false
	w.keep(e)
}

// question is what has to be asked about an entry now, nil if nothing has, and how late that is.
func (w *Watcher) question(e *entry) (v *session.Variant, lag time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isGone(e) || e.end != Watching || e.erased != nil || time.Now().Before(e.due) { // it was observed meanwhile
		return nil, 0
	}
	lag = time.Since(e.wanted)
	e.late = lag
	if e.doubted {
		e.doubted = false
		return e.variant.Plain(), lag
	}
	return e.variant, lag
}

// noteAnswer takes note of what asking brought: an observation that the cache has told
// of already, in most cases. It reports whether there is something to be made durable.
func (w *Watcher) noteAnswer(e *entry, v *session.Variant, o *session.Observation, err error) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due.Polled()
	now := time.Now()
	if err != nil {
		o = nil
		e.failures++
		e.failure = failureOf(err, now)
		w.schedule(e, now.Add(jittered(retryAfter(w.cfg.Interval, e.failures))))
	} else {
		e.failures, e.failure = 0, failure{}
		news = w.note(e, v, o)
		// The minimum is for observations that stay fresh for longer than an interval:
		// there is nothing to be had earlier, so do not spin.
		w.schedule(e, now.Add(max(w.cfg.Interval/10, w.nextDue(e, o.At).Sub(now))))
	}
	if deadline := e.created.Add(w.cfg.Deadline); e.erased == nil && e.end == Watching && !now.Before(deadline) {
		w.options.Schedule.ended(e.variant, e.from, e.lived(time.Time{}))
		news = e.take(passed, sighting{e.variant, o, now}) || news
	} else if e.due.After(deadline) {
		w.schedule(e, deadline)
	}
	return news
}

// knownAt is when an entry was observed that is due again: what was seen then is no news, though
// it may count as fresh for those who do not wait. What was seen within the shortest gap is, whatever
// has made the entry due. With a fixed interval, what is fresh is.
func (w *Watcher) knownAt(e *entry) time.Time {
	if !w.options.Schedule.adaptive() {
		return time.Time{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if before := time.Now().Add(-w.cfg.bounds().Least()); e.observed.After(before) {
		return before
	}
	return e.observed
}

// Fresh is for how long a pending observation of v serves whoever asks: until the session is polled
// again, where the schedule adapts and the session is watched by asking just that, else 0.
func (w *Watcher) Fresh(v *session.Variant, o *session.Observation) time.Duration {
	if !w.options.Schedule.adaptive() {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[session.ID(w.store, v)]
	if !known || !e.polls(v) || e.observed != o.At {
		return 0
	}
	return max(w.cfg.bounds().Least(), e.due.Sub(o.At))
}

// Hurry is told that somebody begins to wait for v's session.
func (w *Watcher) Hurry(v *session.Variant) {
	if !w.options.Schedule.adaptive() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[session.ID(w.store, v)]
	if known && e.polls(v) && e.turn.Waits() && e.failures == 0 && !e.observed.IsZero() {
		w.schedule(e, w.nextDue(e, e.observed))
	}
}

// note has an entry take note of an observation, and the schedule learn from that. It reports
// whether there is something to be made durable. It needs the lock.
func (w *Watcher) note(e *entry, v *session.Variant, o *session.Observation) (news bool) {
	was, watched := e.observed, e.end == Watching
	news = e.note(v, o, w.cfg.NotFoundAfter)
	if !was.IsZero() && e.observed.After(was) {
		w.options.Schedule.polled(v, e.from, e.observed.Sub(was))
	}
	switch {
	case !watched || e.end == Watching:
	case e.end == Final:
		w.options.Schedule.ended(v, e.from, e.lived(o.At))
		if e.out {
			w.metrics.noteLate(was, e.wanted, o.At, e.late)
		}
	default:
		w.options.Schedule.ended(v, e.from, e.lived(time.Time{}))
	}
	return news
}

// nextDue is when an entry is due that was observed at a time. It needs the lock.
func (w *Watcher) nextDue(e *entry, at time.Time) time.Time {
	if e.doubted {
		return time.Now()
	}
	e.waited = w.options.Waited(e.variant)
	due := at.Add(w.options.Schedule.gap(e.variant, e.from, at.Sub(e.created), at, e.waited))
	if !e.missing.IsZero() {
		if believed := e.missing.Add(w.cfg.NotFoundAfter); believed.After(at) && believed.Before(due) {
			due = believed
		}
	}
	if deadline := e.created.Add(w.cfg.Deadline); due.After(deadline) {
		return deadline
	}
	return due
}

func jittered(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

// retryAfter is how long to wait after a number of failures in a row of the upstream:
// longer and longer, but the end of an outage has to be noticed soon.
func retryAfter(interval time.Duration, failures int) time.Duration {
	const most = 3 * time.Second
	return min(interval<<min(failures-1, 8), max(interval, most))
}
