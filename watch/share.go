package watch

import (
	"container/heap"
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

// End stores what is not stored of the watches of slots that are no more this process's, and
// forgets them. What could not be stored whoever takes them up finds out again.
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
		if e.place >= 0 {
			heap.Remove(&w.due, e.place)
		}
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
				if err := w.settle(ctx, e, stored); err != nil {
					w.complain(e, err)
				}
			}
		})
	}
	for _, e := range entries {
		work <- e
	}
	close(work)
	settling.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range entries {
		w.remove(e)
	}
}
