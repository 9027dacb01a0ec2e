package watch

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Share is this process's part in a fleet: the sessions that it looks after; see fleet.Fleet.
type Share interface {
	// Replica is the id of this process.
	Replica() string
	// Slot is the slot of a session.
	Slot(sessionID string) int
	// Holds reports whether this process looks after a session now, and Owns whether the
	// session is its own, though it may not know for the moment whether others think so.
	Holds(sessionID string) bool
	Owns(sessionID string) bool
	// Current reports whether this process knows what others have done so far.
	Current() bool
}

// Slot is some of the sessions of a fleet.
type Slot struct {
	Number int
	From   string    // the replica that looked after them before; empty: none did
	After  time.Time // from when on they may be polled: then that one has surely stopped
}

// holds reports whether a session is looked after here.
func (w *Watcher) holds(id string) bool {
	return w.options.Share == nil || w.options.Share.Holds(id)
}

func (w *Watcher) owns(id string) bool {
	return w.options.Share == nil || w.options.Share.Owns(id)
}

// Begin takes up the watches of slots that are this process's from now on. It does not wait for
// that.
func (w *Watcher) Begin(slots []Slot) {
	t := w.newTakeUp(slots)
	w.running.Go(func() { w.takeUp(t) })
}

// leaving is how long the watches of slots that were lost may take to become durable.
const leaving = time.Second

// End stores what is not stored of the watches of slots that are no more this process's, hands on
// what could not be, and forgets them. What enters later goes when it is due.
func (w *Watcher) End(slots []int) {
	w.mu.Lock()
	for t := range w.takeUps {
		t.slots = slices.DeleteFunc(t.slots, func(s Slot) bool { return slices.Contains(slots, s.Number) })
	}
	var entries []*entry
	for id, e := range w.live {
		if !slices.Contains(slots, w.options.Share.Slot(id)) {
			continue
		}
		entries = append(entries, e)
		e.leaves = true
		w.due.Remove(&e.turn)
	}
	for _, slot := range slots {
		delete(w.complete, slot)
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	work := make(chan *entry)
	var settling sync.WaitGroup
	for range min(writers, len(entries)) {
		settling.Go(func() {
			for e := range work {
				w.letGo(ctx, e)
			}
		})
	}
	for _, e := range entries {
		work <- e
	}
	close(work)
	settling.Wait()
}

// letGo stores what is not stored of an entry, and forgets it. What whoever looks after the session
// now may have missed is handed on: what could not be stored, and a watch that was not when it
// began, for that one may have read the records before.
func (w *Watcher) letGo(ctx context.Context, e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.erased != nil {
		w.await(ctx, e.erased) // if that takes too long, whoever erases it finds out
	}
	missed := e.end == Watching && (e.begins || !e.leaves)
	err := w.unlocked(func() error { return w.settle(ctx, e, stored) })
	switch {
	case w.isGone(e):
		return
	case !e.leaves && w.owns(e.id): // once more, and it was there when the records were taken up
		return
	case err != nil:
		w.complain(e, err)
		missed = true
	}
	if missed {
		w.handOn(e)
	}
	w.remove(e)
}

// handOn has whoever looks after a session now know what is known here. It needs the lock.
func (w *Watcher) handOn(e *entry) {
	if e.variant == nil || e.erased != nil { // it is not watched
		return
	}
	o, at := e.pending, e.created
	for _, c := range e.owed {
		if c.observation != nil {
			o = c.observation
		}
	}
	if o != nil {
		at = o.At
	}
	w.options.HandOn(e.variant, o, at)
}

// Erased is told that another process has erased a session, which this one did not hear of then: what
// is known of it here is forgotten, and nobody told of it.
func (w *Watcher) Erased(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, live := w.live[id]; live && e.erased == nil {
		w.remove(e)
	}
}
