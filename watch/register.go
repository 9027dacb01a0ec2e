package watch

import (
	"context"
	"errors"
	"time"

	"pollbridge/session"
)

// patience bounds how long an observation is held up so that it can be made durable.
const patience = 2 * time.Second

// Watch begins to watch v's session, whoever wants to know, and returns what is known
// about it. When it returns nil, that is durable. A session that is watched already
// stays so, one that has reached its final state is not watched again, and one that was
// given up is watched once more. Errors are ErrFull and ErrClosed, or the store's; after
// one of these the watch may exist all the same.
func (w *Watcher) Watch(ctx context.Context, v *session.Variant) (Session, error) {
	now := time.Now()
	begun := newEntry(w.store.SessionID(v), newRecord(v, session.Unknown, now, now))
	begun.restart, begun.due = true, now
	e, err := w.enter(begun)
	if err == nil {
		err = w.settleAndKeep(ctx, e)
	}
	if err != nil {
		return Session{}, err
	}
	if e != begun && w.givenUp(e) {
		return w.Watch(ctx, v) // the watch that was there has just ended, and is gone
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.stopped { // by Delete
		return Session{}, ErrNotFound
	}
	return w.describe(e.id, e.record), nil
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
	begun := newEntry(subject.Session, newRecord(v, session.Pending, now, now))
	begun.due = now.Add(w.cfg.gap(0))
	e, err := w.enter(begun)
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
func (w *Watcher) Observe(v *session.Variant, o *session.Observation) {
	id := w.store.SessionID(v)
	if w.observeWatched(id, v, o) || !o.State.Final() && o.State != session.Pending {
		return
	}
	if !w.options.Events.Wanted(w.subject(id, v)) {
		return
	}
	begun := newEntry(id, newRecord(v, session.Unknown, o.At, time.Now()))
	begun.note(v, o, w.cfg.NotFoundAfter)
	begun.due = w.nextDue(begun, o)
	switch e, err := w.enter(begun); {
	case err != nil:
		w.refused(id, err)
	case e != begun:
		w.Observe(v, o) // it has just become watched
	default:
		w.settleNow(e)
	}
}

// observeWatched does it for a session that is watched; it reports false if v's is not.
func (w *Watcher) observeWatched(id string, v *session.Variant, o *session.Observation) bool {
	w.mu.Lock()
	e, known := w.live[id]
	news := known && e.note(v, o, w.cfg.NotFoundAfter)
	asked := known && e.variant != nil && v.Key() == e.variant.Key()
	if known && e.end == Watching && (news || e.doubted || asked && e.place >= 0 && e.failures == 0) {
		w.schedule(e, w.nextDue(e, o)) // a client's poll is as good as ours, if it asks the same
	}
	if known && e.end == Final && o.State.Final() && o.State != e.state {
		w.options.Log.Info("another final answer about a session that has ended: the first one counts", "session", id, "state", e.state.String(), "ignored", o.State.String())
	}
	w.mu.Unlock()
	if news {
		w.settleNow(e)
	}
	return known
}

// settleNow settles an entry while those who asked wait for it. The watcher need not
// be running.
func (w *Watcher) settleNow(e *entry) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.settleAndKeep(ctx, e) // if that fails, it is logged, and tried again
}

// settleAndKeep settles an entry, and makes sure that it becomes due after that.
func (w *Watcher) settleAndKeep(ctx context.Context, e *entry) error {
	err := w.settle(ctx, e)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(e, err)
	return err
}

// keep makes sure that an entry becomes due after it was settled, or was not. It needs
// the lock.
func (w *Watcher) keep(e *entry, err error) {
	switch {
	case w.isGone(e) || e.out:
	case err != nil:
		w.retry(e, err)
	case e.place < 0 && e.end == Watching:
		w.schedule(e, e.due)
	}
}

// passers bounds the sessions that have ended when they are first seen, and wait for
// that to become durable: they are gone in a moment, unless the store is in trouble.
const passers = 1000

// enter returns the entry of e's session; where there is none that is e, if another watch
// may begin.
func (w *Watcher) enter(e *entry) (*entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, is := w.live[e.id]; is {
		return known, nil
	}
	most := w.cfg.Max
	switch {
	case e.end == Final: // it needs no watch: what was seen first was its end
		most += passers
	case w.ctx.Err() != nil:
		return nil, ErrClosed
	}
	if len(w.live) >= most {
		return nil, ErrFull
	}
	w.live[e.id] = e
	return e, nil
}

// givenUp reports whether an entry is gone whose session was given up.
func (w *Watcher) givenUp(e *entry) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.isGone(e) && (e.end == Abandoned || e.end == NotFound)
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
