package watch

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"pollbridge/event"
	"pollbridge/store"
)

// mostOfStep bounds how long one step of making something durable may take.
const mostOfStep = 5 * time.Second

// settle makes durable what is new about an entry, step by step: the item that brings
// the watch back after a crash, then the events, then the record, and when the watch
// has ended, the end of the item. It returns nil when there is nothing left to be done
// now, and stops at the first step that fails; done again, it goes on from there.
func (w *Watcher) settle(ctx context.Context, e *entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e.settling != nil {
		busy := e.settling
		err := w.unlocked(func() error {
			select {
			case <-busy:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err != nil {
			return err
		}
	}
	for step := w.nextStep(e); step != nil; step = w.nextStep(e) {
		if e.settling == nil {
			settled := make(chan struct{})
			e.settling = settled
			defer func() { e.settling = nil; close(settled) }()
		}
		bounded, cancel := context.WithTimeout(ctx, mostOfStep)
		err := step(w, bounded, e)
		cancel()
		if err != nil {
			w.metrics.failed.Inc()
			return fmt.Errorf("watch: %w", err)
		}
	}
	return nil
}

// unlocked calls f, which may block, without the lock. It needs the lock.
func (w *Watcher) unlocked(f func() error) error {
	w.mu.Unlock()
	defer w.mu.Lock()
	return f()
}

// nextStep is what has to be done next for an entry, nil if nothing has. It needs the
// lock, as what it returns does.
func (w *Watcher) nextStep(e *entry) func(*Watcher, context.Context, *entry) error {
	switch {
	case w.isGone(e):
		return nil
	case e.stopped, e.variant == nil && !time.Now().Before(e.created.Add(w.cfg.Deadline)):
		return w.nextOfEnd(e)
	case e.variant == nil:
		return nil // cannot be asked for with this configuration, but perhaps with the next
	case !e.loaded:
		return (*Watcher).load
	case e.end == Watching && !e.queued:
		return (*Watcher).enqueue
	case len(e.changes) > 0:
		return (*Watcher).publish
	case e.dirty:
		return (*Watcher).write
	case e.end != Watching:
		return w.nextOfEnd(e)
	}
	return nil
}

// nextOfEnd is nextStep for a watch that has ended. An item that was not handed out yet
// comes soon, and settling then goes on.
func (w *Watcher) nextOfEnd(e *entry) func(*Watcher, context.Context, *entry) error {
	switch {
	case !e.queued:
		w.remove(e)
		return nil
	case e.item == nil && e.stopped:
		return (*Watcher).withdraw
	case e.item == nil:
		return nil
	}
	return (*Watcher).finish
}

func (w *Watcher) load(ctx context.Context, e *entry) error {
	var known record
	err := w.unlocked(func() (err error) {
		var revision uint64
		if known, revision, err = w.stored(ctx, e.id); err == nil && revision < w.restored {
			w.restore(known)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if !e.stopped {
		e.merge(known, err == nil)
	}
	return nil
}

// stored reads a record, with its revision. The error is ErrNotFound where there is none,
// or none that can be read: then a new one takes its place.
func (w *Watcher) stored(ctx context.Context, id string) (known record, revision uint64, err error) {
	row, err := w.sessions.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return record{}, 0, ErrNotFound
	}
	if err != nil {
		return record{}, 0, err
	}
	if known, err = w.readRecord(row.Value); err != nil {
		w.options.Log.Warn("session record cannot be read, replacing it", "session", id, "error", err)
		return record{}, 0, ErrNotFound
	}
	return known, row.Revision, nil
}

func (w *Watcher) enqueue(ctx context.Context, e *entry) error {
	item := e.record
	item.pending = nil // the session's own record has it, and there may be very many items
	name, value := itemName(e.id, e.generation), item.append(nil)
	err := w.unlocked(func() error { return w.watches.Add(ctx, itemSubject, name, value) })
	e.queued = e.queued || err == nil
	return err
}

func (w *Watcher) publish(ctx context.Context, e *entry) error {
	c, v := e.changes[0], e.variant
	err := w.unlocked(func() error {
		_, err := w.options.Events.Changed(ctx, event.Change{
			Subject: w.subject(e.id, v), Token: v.Token, Locale: v.Endpoint.Locales[v.Locale].Name,
			Type: c.kind, State: c.state, Observation: c.observation, At: c.at,
		})
		return err
	})
	if err == nil && !e.stopped {
		e.changes = e.changes[1:]
	}
	return err
}

func (w *Watcher) write(ctx context.Context, e *entry) error {
	// One that is watched is kept for as long as it may be, and then as long as any other.
	ttl := w.options.Retain
	if e.end == Watching {
		ttl += w.cfg.Deadline + time.Hour
	}
	value := e.record.append(nil)
	e.dirty = false // what changes from here on is not in value
	err := w.unlocked(func() error {
		_, err := w.sessions.Put(ctx, e.id, value, ttl)
		return err
	})
	e.dirty = e.dirty || err != nil && !e.stopped
	return err
}

// finish ends the item of a watch that has ended. After an error the item is kept, to be
// tried again: nobody knows whether it was removed, and if so, it is never handed out again.
func (w *Watcher) finish(ctx context.Context, e *entry) error {
	item := e.item
	e.finishing = true
	err := w.unlocked(func() error { return item.DoubleAck(ctx) })
	e.finishing = false
	if err != nil {
		return err
	}
	e.item, e.queued = nil, false
	if len(e.changes) == 0 && !e.dirty { // else its end was seen after all, this moment
		w.remove(e)
	}
	return nil
}

// withdraw removes the item of a session that was erased, which was not handed out yet: after
// a crash nobody would know that it was erased. It may be on its way all the same.
func (w *Watcher) withdraw(ctx context.Context, e *entry) error {
	name := itemName(e.id, e.generation)
	maps.DeleteFunc(w.withdrawn, func(_ string, at time.Time) bool { return time.Since(at) > withdrawnFor })
	w.withdrawn[name] = time.Now()
	err := w.unlocked(func() error { return w.watches.Remove(ctx, itemSubject, name) })
	if err == nil && e.item == nil {
		e.queued = false
	}
	return err
}

// withdrawnFor is longer than an item can be on its way.
const withdrawnFor = time.Minute

// isGone reports whether an entry was removed, and nobody has to do with it any more. It
// needs the lock.
func (w *Watcher) isGone(e *entry) bool { return w.live[e.id] != e }

// remove forgets an entry. It needs the lock.
func (w *Watcher) remove(e *entry) {
	if e.place >= 0 {
		heap.Remove(&w.due, e.place)
	}
	delete(w.live, e.id)
}
