package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pollbridge/event"
	"pollbridge/store"
)

// mostOfStep bounds how long one step of making something durable may take.
const mostOfStep = 5 * time.Second

// level is how much of what is new about an entry has to be durable.
type level uint8

const (
	safe   level = iota // enough that nothing is lost with the process: somebody waits for it
	told                // the events
	stored              // the record, too: nobody waits for that, and many are written together
)

// settle makes durable what is new about an entry, step by step. It returns nil when that
// level is reached, and stops at the first step that fails; done again, it goes on from
// there.
func (w *Watcher) settle(ctx context.Context, e *entry, until level) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e.settling != nil {
		if err := w.await(ctx, e.settling); err != nil {
			return err
		}
	}
	defer w.settleLater(e)
	if until != safe {
		ctx = store.Unhurried(ctx)
	}
	for step := w.nextStep(e, until); step != nil; step = w.nextStep(e, until) {
		if w.options.Share != nil && !w.options.Share.Current() {
			return errNotCurrent
		}
		if e.settling == nil {
			settled := make(chan struct{})
			e.settling = settled
			defer func() { e.settling = nil; close(settled) }()
		}
		bounded, cancel := context.WithTimeout(ctx, mostOfStep)
		err := step(w, bounded, e)
		cancel()
		w.patience.Told(err)
		if err != nil {
			w.metrics.failed.Inc()
			return fmt.Errorf("watch: %w", err)
		}
	}
	return nil
}

// errNotCurrent is why nothing is written: others may have erased the session meanwhile.
var errNotCurrent = errors.New("watch: it is not known yet what other processes have done")

// unlocked calls f, which may block, without the lock. It needs the lock.
func (w *Watcher) unlocked(f func() error) error {
	w.mu.Unlock()
	defer w.mu.Lock()
	return f()
}

// nextStep is what has to be done next for an entry to reach a level, nil if nothing has. It
// needs the lock, as what it returns does.
func (w *Watcher) nextStep(e *entry, until level) func(*Watcher, context.Context, *entry) error {
	switch {
	case w.isGone(e), e.erased != nil:
		return nil
	case until == safe && e.safe() && e.end == Watching:
		return nil
	case e.end == Watching && e.begins:
		return (*Watcher).write
	case len(e.owed) > 0:
		return (*Watcher).publish
	case e.dirty, e.begins:
		if until == stored {
			return (*Watcher).write
		}
	case e.end != Watching:
		w.remove(e)
	}
	return nil
}

// settleAndKeep settles an entry, and makes sure that it becomes due after that.
func (w *Watcher) settleAndKeep(ctx context.Context, e *entry) error {
	err := w.settle(ctx, e, safe)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(e)
	return err
}

// keep makes sure that an entry becomes due, unless a worker has it or it has ended. It needs
// the lock.
func (w *Watcher) keep(e *entry) {
	switch {
	case e.end != Watching, e.erased != nil, e.turn.Waits(), e.leaves:
	case e.since.IsZero():
		w.schedule(e, e.due)
	default:
		w.awaitDue(e)
	}
}

// spare is how much longer a record is kept than its watch, whatever clocks do.
const spare = time.Hour

// ttl is how long a record is kept. One that is watched is kept for as long as it may be,
// and then as long as any other.
func (w *Watcher) ttl(e *entry) time.Duration {
	if e.end == Watching {
		return w.options.Retain + w.cfg.Deadline + spare
	}
	return w.options.Retain
}

// write stores the record of an entry as it stands, unless it is not the one that it follows
// which is stored.
func (w *Watcher) write(ctx context.Context, e *entry) error {
	value, ttl, pending, revision := e.record.at(w.store.Ahead()).append(nil), w.ttl(e), e.pending, e.revision
	e.dirty = false // what changes from here on is not in value
	w.sights.begin(e)
	err := w.unlocked(func() (err error) {
		if revision == 0 {
			revision, err = w.sessions.Create(ctx, e.id, value, ttl)
		} else {
			revision, err = w.sessions.Update(ctx, e.id, value, revision, ttl)
		}
		return err
	})
	w.sights.end(e, err, revision)
	switch {
	case err == nil:
		e.revision, e.stored, e.done = revision, pending, nil
		e.begins = e.begins && e.dirty
		return nil
	case errors.Is(err, store.ErrConflict) && !w.owns(e.id):
		w.handOn(e) // whoever has written it looks after the session
		w.remove(e)
		return nil
	case errors.Is(err, store.ErrConflict):
		return w.meet(ctx, e)
	}
	e.dirty = true
	return err
}

// meet reads the record that is in the way of an entry's: in most cases, its own, of a write
// that seemed to fail.
func (w *Watcher) meet(ctx context.Context, e *entry) error {
	var known record
	var revision uint64
	since := e.revision
	err := w.unlocked(func() (err error) {
		known, revision, err = w.readSince(ctx, e.id, since)
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound) && revision > 0: // it cannot be read: this one takes its place
		e.revision, e.dirty = revision, true
	case errors.Is(err, ErrNotFound) && e.revision > 0 && w.options.Share != nil:
		w.remove(e) // the replica that looked after the session before has erased it
	case errors.Is(err, ErrNotFound): // it has gone; who erases a session does so by its entry
		e.revision, e.dirty, e.begins = 0, true, e.end == Watching
	case err != nil:
		e.dirty = true
		return err
	case e.revision == 0:
		e.meet(known, revision)
	case known.end == Final: // somebody else has seen its end
		e.meet(known, revision)
	default:
		e.revision, e.dirty = revision, true
	}
	return nil
}

// read reads a record, with its revision. The error is ErrNotFound where there is none, or
// none that can be read: then there is a revision all the same.
func (w *Watcher) read(ctx context.Context, id string) (known record, revision uint64, err error) {
	return w.readSince(ctx, id, 0)
}

// readSince is read where the record was seen with a revision.
func (w *Watcher) readSince(ctx context.Context, id string, since uint64) (known record, revision uint64, err error) {
	row, err := w.sessions.GetSince(ctx, id, since)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return record{}, 0, ErrNotFound
	case err == nil:
		known, err = w.readRecord(row.Value)
	case !errors.Is(err, store.ErrDamaged):
		return record{}, 0, err
	}
	if err != nil {
		w.options.Log.Warn("session record cannot be read", "session", id, "error", err)
		return record{}, row.Revision, ErrNotFound
	}
	return known, row.Revision, nil
}

func (w *Watcher) publish(ctx context.Context, e *entry) error {
	c, v := e.owed[0], e.variant
	err := w.unlocked(func() error {
		_, err := w.options.Events.Changed(ctx, event.Change{
			Subject: w.subject(e.id, v), Token: v.Token, Locale: v.Endpoint.Locales[v.Locale].Name,
			Type: c.kind, State: c.state, Observation: c.observation, FileOmitted: c.fileOmitted, At: c.at,
		})
		if err != nil {
			c = c.withoutDocument()
		}
		return err
	})
	if err != nil {
		e.owed[0] = c
		return err
	}
	if e.owed = e.owed[1:]; len(e.owed) == 0 {
		e.owed = nil
	}
	if c.kind == event.TypePending {
		e.announced = true
		w.sights.over(e)
	}
	return nil
}

// isGone reports whether an entry was removed, and nobody has to do with it any more. It
// needs the lock.
func (w *Watcher) isGone(e *entry) bool { return w.live[e.id] != e }

// remove forgets an entry. It needs the lock.
func (w *Watcher) remove(e *entry) {
	w.due.Remove(&e.turn)
	if w.live[e.id] == e {
		w.drop(e)
		if e.passes {
			w.passing--
		}
	}
	delete(w.unstored, e)
	w.sights.over(e)
}
