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
	id := w.store.SessionID(v)
	now := time.Now()
	begun := false
	e, err := w.enter(id, func() *entry {
		e := newEntry(id, newRecord(v, session.Unknown, now, now))
		e.restart = true
		e.due = now
		begun = true
		return e
	}, nil)
	if err != nil {
		return Session{}, err
	}
	err = w.settle(ctx, e)
	if err == nil && !begun && w.givenUp(e) {
		return w.Watch(ctx, v) // the watch that was there has just ended, and is gone
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(e, err)
	switch {
	case err != nil:
		return Session{}, err
	case e.stopped: // by Delete
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
	e, err := w.enter(subject.Session, func() *entry {
		e := newEntry(subject.Session, newRecord(v, session.Pending, now, now))
		e.due = now.Add(w.next(0))
		return e
	}, nil)
	if err != nil {
		w.refused(subject.Session, err)
		return err
	}
	err = w.settle(ctx, e)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(e, err)
	return err
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
	e, err := w.enter(id, func() *entry {
		e := newEntry(id, newRecord(v, session.Unknown, o.At, time.Now()))
		e.passing = o.State.Final()
		e.due = o.At // until it is settled
		return e
	}, func(e *entry) { e.note(v, o, w.cfg.NotFoundAfter) })
	if err != nil {
		w.refused(id, err)
		return
	}
	w.settleNow(e, o)
}

// observeWatched does it for a session that is watched; it reports false if v's is not.
func (w *Watcher) observeWatched(id string, v *session.Variant, o *session.Observation) bool {
	w.mu.Lock()
	e, known := w.live[id]
	news := known && e.note(v, o, w.cfg.NotFoundAfter)
	if known && !news && e.end == Watching && e.place >= 0 && e.failures == 0 {
		w.schedule(e, w.nextDue(e, o)) // a client's poll is as good as ours
	}
	w.mu.Unlock()
	if news {
		w.settleNow(e, o)
	}
	return known
}

// nextDue is when an entry that was just observed is due. It needs the lock.
func (w *Watcher) nextDue(e *entry, o *session.Observation) time.Time {
	due := w.after(e, o.At)
	if deadline := e.created.Add(w.cfg.Deadline); due.After(deadline) {
		return deadline
	}
	return due
}

// settleNow settles an entry while those who asked wait for it. The watcher need not
// be running.
func (w *Watcher) settleNow(e *entry, o *session.Observation) {
	err := w.store.Err()
	if err != nil {
		w.metrics.failed.Inc() // and do not make the answer wait for what will fail
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err = w.settle(ctx, e)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(e, err)
	if err == nil && e.end == Watching {
		w.schedule(e, w.nextDue(e, o))
	}
}

// passers bounds the sessions that have ended when they are first seen, and wait for
// that to become durable: they are gone in a moment, unless the store is in trouble.
const passers = 1000

// enter returns the entry of a session; where there is none it adds what make makes,
// if another watch may begin. with is called with either, under the lock; it may be nil.
func (w *Watcher) enter(id string, make func() *entry, with func(*entry)) (*entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[id]
	if !known {
		e = make()
		if err := w.admit(e); err != nil {
			return nil, err
		}
	}
	if with != nil {
		with(e)
	}
	return e, nil
}

// admit adds an entry, if another watch may begin. It needs the lock.
func (w *Watcher) admit(e *entry) error {
	most := w.cfg.Max
	if e.passing {
		most += passers
	}
	switch {
	case w.closed && !e.passing:
		return ErrClosed
	case len(w.live) >= most:
		return ErrFull
	}
	w.live[e.id] = e
	return nil
}

// givenUp reports whether an entry is gone whose session was given up.
func (w *Watcher) givenUp(e *entry) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return e.gone && (e.end == Abandoned || e.end == NotFound)
}

// keep makes sure that an entry becomes due after it was settled, or was not. It needs
// the lock.
func (w *Watcher) keep(e *entry, err error) {
	switch {
	case e.gone || e.out:
	case err != nil:
		w.retry(e, err)
	case e.place < 0 && e.end == Watching:
		w.schedule(e, e.due)
	}
}

// refused counts a session that is not watched though somebody wants to know about it,
// and logs the first of many.
func (w *Watcher) refused(id string, err error) {
	if !errors.Is(err, ErrFull) {
		return // the watcher is closed: it is watched again after the next start
	}
	w.metrics.refused.Inc()
	w.mu.Lock()
	tell := w.refusals.may(time.Now())
	w.mu.Unlock()
	if tell {
		w.options.Log.Error("watch.max reached, session is not watched", "max", w.cfg.Max, "session", id)
	}
}
