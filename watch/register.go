package watch

import (
	"context"
	"errors"
	"time"

	"pollbridge/session"
	"pollbridge/tracing"
)

// mostHeldUp bounds how long an observation is held up so that it can be made durable; less
// where the store is known to hang.
const mostHeldUp = 2 * time.Second

// Watch begins to watch v's session, whoever wants to know, and returns what is known
// about it. When it returns nil, that is durable. A session that is watched already
// stays so, one that has reached its final state is not watched again, and one that was
// given up is watched once more. Errors are ErrFull and ErrClosed, or the store's; after
// one of these the watch may exist all the same.
func (w *Watcher) Watch(ctx context.Context, v *session.Variant) (Session, error) {
	for {
		now := time.Now()
		begun := newEntry(session.ID(w.store, v), newRecord(v, session.Unknown, now))
		begun.due, begun.begun = now, tracing.In(ctx).Context()
		e, err := w.register(ctx, begun)
		if err == nil {
			err = w.settleAndKeep(ctx, e)
		}
		if err != nil {
			return Session{}, err
		}
		w.mu.Lock()
		if e.erased == nil {
			defer w.mu.Unlock()
			return w.describe(e.id, e.record), nil
		}
		w.mu.Unlock() // it is erased, and then registered
	}
}

// register enters an entry, or registers the session with the one that is there. It waits
// until nobody erases that.
func (w *Watcher) register(ctx context.Context, begun *entry) (*entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		e, err := w.enter(begun, false)
		if err != nil {
			return nil, err
		}
		if e.erased == nil {
			if e.take(registered, sighting{v: begun.variant, at: begun.due}) {
				e.due = begun.due
			}
			return e, nil
		}
		if err := w.await(ctx, e.erased); err != nil {
			return nil, err
		}
	}
}

// Started is told that a call has started v's session. If somebody wants to know about
// it, it is watched, durable when Started returns nil; if as many are watched as may
// be, the error is ErrFull. For sessions that nobody wants to know of it costs hardly
// anything.
func (w *Watcher) Started(ctx context.Context, v *session.Variant) error {
	subject := w.Subject(v)
	if !w.options.Events.Wanted(subject) {
		return nil
	}
	now := time.Now()
	begun := newEntry(subject.Session, newRecord(v, session.Pending, now))
	begun.from, begun.begun = started, tracing.In(ctx).Context()
	begun.due = now.Add(w.options.Schedule.gap(v, started, 0, now, false))
	w.mu.Lock()
	e, err := w.enter(begun, false)
	w.mu.Unlock()
	if err != nil {
		w.refused(subject.Session, err)
		return err
	}
	return w.settleAndKeep(ctx, e)
}

// Observe is told of each new observation, before anybody is answered with it. It makes
// a change of state durable, if the session is watched or somebody wants to know about
// it, and begins to watch one that is. Where that cannot be done in a bounded time, it
// is logged, and done as soon as it can be: observations are answered all the same.
//
// An answer that does not show that the session exists begins no watch: anybody could
// have made up its token.
//
// It reports whether the session was watched before: then the schedule learns from its watch.
func (w *Watcher) Observe(v *session.Variant, o *session.Observation) (watched bool) {
	id := session.ID(w.store, v)
	e, news := w.observe(id, v, o, false)
	watched = e != nil
	if e == nil && (o.State.Final() || o.State == session.Pending) && w.options.Events.Wanted(w.subject(id, v)) {
		e, news = w.observe(id, v, o, true)
	}
	if !news {
		return watched
	}
	ctx, cancel := w.patience.Context(context.Background(), mostHeldUp)
	defer cancel()
	if err := w.settleAndKeep(ctx, e); err != nil {
		w.complain(e, err)
	}
	return watched
}

// observe has the session's entry take note of an observation, and reports whether there is
// something to be made durable. Where there is no entry, it is nil, or one that begins.
func (w *Watcher) observe(id string, v *session.Variant, o *session.Observation, begin bool) (e *entry, news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[id]
	switch {
	case known:
	case !begin:
		return nil, false
	default:
		e = newEntry(id, newRecord(v, session.Unknown, o.At))
		e.begun = o.Poll
		if _, err := w.enter(e, o.State.Final()); err != nil {
			w.refused(id, err)
			return nil, false
		}
	}
	if e.end == Final && o.State.Final() && o.State != e.state {
		w.options.Log.Info("another final answer about a session that has ended: the first one counts", "session", id, "state", e.state.String(), "ignored", o.State.String())
	}
	news = w.note(e, v, o) || !known
	// A client's poll is as good as ours, if it asks the same: after failures, too, and while a worker is
	// about to ask.
	asked := e.variant != nil && v.Key() == e.variant.Key() && !o.At.Before(e.observed)
	if asked {
		e.failures, e.failure = 0, failure{}
	}
	switch {
	case e.end != Watching:
	case !known: // it may turn out to have ended
		e.due = w.nextDue(e, o.At)
	case news || e.doubted || asked && (e.out || e.turn.Waits()):
		w.schedule(e, w.nextDue(e, o.At))
	}
	return e, news
}

// passers bounds the sessions that have ended when they are first seen, and wait for
// that to become durable: they are gone in a moment, unless the store is in trouble.
const passers = 1000

// enter returns the entry of e's session; where there is none that is e, if another watch
// may begin. One that passes needs no watch: what was seen first was its end. It needs the
// lock.
func (w *Watcher) enter(e *entry, passes bool) (*entry, error) {
	if known, is := w.live[e.id]; is {
		return known, nil
	}
	switch {
	case passes && w.passing >= passers, !passes && len(w.live)-w.passing >= w.cfg.Max:
		return nil, ErrFull
	case !passes && w.ctx.Err() != nil:
		return nil, ErrClosed
	}
	w.add(e)
	if passes {
		e.passes = true
		w.passing++
	}
	return e, nil
}

// refused counts a session that is not watched though somebody wants to know about it,
// and logs the first of many.
func (w *Watcher) refused(id string, err error) {
	if !errors.Is(err, ErrFull) {
		return // the watcher is closed: it is watched again after the next start
	}
	w.metrics.refused.Inc()
	w.refusals.Do(func() {
		w.options.Log.Error("watch.max reached, session is not watched", "max", w.cfg.Max, "session", id)
	})
}
