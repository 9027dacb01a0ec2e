package watch

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"

	"pollbridge/store"
	"pollbridge/webhook"
)

// settle makes durable what is new about an entry, step by step: the item that brings
// the watch back after a crash, then the events, then the record, and when the watch
// has ended, the end of the item. It returns nil when there is nothing left to be done
// now, and stops at the first step that fails; done again, it goes on from there.
func (w *Watcher) settle(ctx context.Context, e *entry) error {
	for {
		w.mu.Lock()
		if busy := e.settling; busy != nil {
			w.mu.Unlock()
			select {
			case <-busy:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		step := w.nextStep(e)
		if step == nil {
			w.mu.Unlock()
			return nil
		}
		done := make(chan struct{})
		e.settling = done
		w.mu.Unlock()

		after, err := step(ctx)

		w.mu.Lock()
		e.settling = nil
		close(done)
		if err == nil && !e.gone {
			after()
		}
		w.mu.Unlock()
		if err != nil {
			w.metrics.failed.Inc()
			return fmt.Errorf("watch: %w", err)
		}
	}
}

// step does one thing that may block, without the lock. after is called with it.
type step func(context.Context) (after func(), err error)

// nextStep is what has to be done next for an entry, nil if nothing has. It needs the
// lock.
func (w *Watcher) nextStep(e *entry) step {
	switch {
	case e.gone:
		return nil
	case e.stopped, e.variant == nil && !time.Now().Before(e.created.Add(w.cfg.Deadline)):
		return w.finish(e)
	case e.variant == nil:
		return nil // cannot be asked for with this configuration, but perhaps with the next
	case !e.loaded:
		return w.load(e)
	case e.end == Watching && !e.queued:
		return w.enqueue(e)
	case len(e.changes) > 0:
		return w.publish(e)
	case e.dirty:
		return w.write(e)
	case e.end != Watching:
		return w.finish(e)
	}
	return nil
}

func (w *Watcher) load(e *entry) step {
	id := e.id
	return func(ctx context.Context) (func(), error) {
		known, revision, err := w.stored(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			known.variant = nil
		case err != nil:
			return nil, err
		case revision < w.restored:
			w.restore(known)
		}
		return func() {
			if !e.stopped {
				e.merge(known, known.variant != nil)
			}
		}, nil
	}
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

func (w *Watcher) enqueue(e *entry) step {
	name, value := itemName(e.id, e.generation), e.record.append(nil)
	return func(ctx context.Context) (func(), error) {
		if err := w.watches.Add(ctx, lane, name, value); err != nil {
			return nil, err
		}
		return func() { e.queued = true }, nil
	}
}

func (w *Watcher) publish(e *entry) step {
	what := e.changes[0]
	v := e.variant
	c := webhook.Change{
		Subject: w.subject(e.id, v),
		Token:   v.Token, Locale: v.Endpoint.Locales[v.Locale].Name,
		Type: what.kind, State: what.state, Observation: what.observation, At: what.at,
	}
	return func(ctx context.Context) (func(), error) {
		if _, err := w.options.Events.Changed(ctx, c); err != nil {
			return nil, err
		}
		return func() {
			if !e.stopped {
				e.changes = e.changes[1:]
			}
		}, nil
	}
}

func (w *Watcher) write(e *entry) step {
	value, ttl := e.record.append(nil), w.keepFor(e)
	id := e.id
	e.dirty = false // what changes from here on is not in value
	return func(ctx context.Context) (func(), error) {
		if _, err := w.sessions.Put(ctx, id, value, ttl); err != nil {
			w.mu.Lock()
			e.dirty = !e.stopped
			w.mu.Unlock()
			return nil, err
		}
		return func() {}, nil
	}
}

// keepFor is how long a record is kept after this change: one that is watched for as
// long as it may be, and then as long as any other.
func (w *Watcher) keepFor(e *entry) time.Duration {
	if e.end == Watching {
		return w.cfg.Deadline + w.options.Retain + time.Hour
	}
	return w.options.Retain
}

// finish ends the item of a watch that has ended. An item that was not handed out yet
// comes soon, and settling then goes on.
func (w *Watcher) finish(e *entry) step {
	if !e.queued {
		w.remove(e)
		return nil
	}
	if e.item == nil {
		return nil
	}
	item := e.item
	e.finishing = true
	return func(ctx context.Context) (func(), error) {
		if err := item.Done(ctx); err != nil {
			w.mu.Lock()
			if e.item == item {
				e.item = nil // it is handed out again, unless it is gone
			}
			e.finishing = false
			w.mu.Unlock()
			return nil, err
		}
		return func() {
			e.item, e.queued, e.finishing = nil, false, false
			if len(e.changes) == 0 && !e.dirty { // else its end was seen after all, this moment
				w.remove(e)
			}
		}, nil
	}
}

// remove forgets an entry. It needs the lock.
func (w *Watcher) remove(e *entry) {
	e.gone = true
	if e.place >= 0 {
		heap.Remove(&w.due, e.place)
	}
	if w.live[e.id] == e {
		delete(w.live, e.id)
	}
}
