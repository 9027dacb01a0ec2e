package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"
)

const (
	// mostOfStart is for how long a start waits until all watches are taken up.
	mostOfStart = 2 * time.Second
	// mostBeforePolls is for how long nothing is polled until then: that would take the
	// processor from the take-up, and each watch be late.
	mostBeforePolls = 10 * time.Second
	// againAfter is how long after a failure they are looked for again.
	againAfter = 250 * time.Millisecond
)

// takeUp is the taking up of watches of before.
type takeUp struct {
	slots []Slot              // without a fleet it is all watches; guarded by Watcher.mu, as below
	gone  map[string]struct{} // sessions that were erased meanwhile
	done  chan struct{}       // closed when the watches were taken up
	ends  bool                // ends were told of, but for late ones: for tests
}

// newTakeUp begins to take up watches, which takeUp does.
func (w *Watcher) newTakeUp(slots []Slot) *takeUp {
	t := &takeUp{slots: slices.Clone(slots), gone: map[string]struct{}{}, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeUps[t] = struct{}{}
	return t
}

// concerns reports whether a session's watch is taken up, and returns its slot, if there is a
// fleet. It needs the lock.
func (w *Watcher) concerns(t *takeUp, id string) (Slot, bool) {
	if w.options.Share == nil {
		return Slot{}, true
	}
	i := slices.IndexFunc(t.slots, func(s Slot) bool { return s.Number == w.options.Share.Slot(id) })
	if i < 0 {
		return Slot{}, false
	}
	return t.slots[i], true
}

// takeUp takes up what was watched before. While it cannot be read it goes on.
func (w *Watcher) takeUp(t *takeUp) {
	if !w.takeUpAll(t) {
		return
	}
	w.mu.Lock()
	for _, slot := range t.slots {
		w.complete[slot.Number] = struct{}{}
	}
	w.sights.noted = 0 // what is noted says nothing of these yet
	w.mu.Unlock()
	close(t.done)
	w.tellEnds(t)
	if w.options.Share != nil {
		w.tellLateEnds(t)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.takeUps, t)
}

// takeUpAll returns false if the watcher was closed meanwhile.
func (w *Watcher) takeUpAll(t *takeUp) bool {
	const cannot = "watches cannot be taken up yet"
	return w.insist(cannot, func() error { return w.takeUpRecords(t) }) && (w.options.Share != nil || w.insist(cannot, w.takeUpItems))
}

// insist calls f until it succeeds, and returns false if the watcher was closed meanwhile. Of its
// errors the log says what cannot be done.
func (w *Watcher) insist(cannot string, f func() error) bool {
	for {
		err := f()
		if err == nil {
			return true
		}
		if w.ctx.Err() != nil {
			return false
		}
		w.complaints.Do(func() {
			w.options.Log.Error(cannot, "error", err)
		})
		if !w.pause(againAfter) {
			return false
		}
	}
}

func (w *Watcher) takeUpRecords(t *takeUp) error {
	w.mu.Lock()
	slots := slices.Clone(t.slots)
	w.mu.Unlock()
	if w.options.Share != nil && len(slots) == 0 {
		return nil // all are lost again
	}
	told, err := w.readTold(w.ctx, slots)
	if err != nil {
		return err
	}
	return w.sessions.Each(w.ctx, slots, func(rows []store.Record) { w.takeUpSome(t, rows, told) })
}

// takeUpSome takes up what is watched.
func (w *Watcher) takeUpSome(t *takeUp, rows []store.Record, told marks) {
	entries := make([]*entry, 0, len(rows))
	for _, row := range rows {
		if e := w.resumed(row, row.Revision <= told.upTo(w.slotOf(row.Key))); e != nil {
			entries = append(entries, e)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range entries {
		slot, concerns := w.concerns(t, e.id)
		if w.live[e.id] != nil || !concerns {
			continue // somebody was quicker
		}
		w.add(e)
		w.sights.newest = max(w.sights.newest, e.revision)
		if len(e.owed) > 0 {
			w.sights.behind[e] = e.revision - 1
		}
		w.settleLater(e)
		due := time.Now()
		if slot.After.After(due) {
			due = slot.After
		}
		// Not all at the same moment: this may be one of very many.
		w.schedule(e, due.Add(rand.N(min(w.cfg.Interval, time.Second))))
	}
}

// resumed is the entry of a record, or nil if that is not watched. told says that its first
// sight is an event.
func (w *Watcher) resumed(row store.Record, told bool) *entry {
	known, err := w.readRecord(row.Value)
	if known.end != Watching {
		return nil
	}
	if err != nil {
		w.options.Log.Error("watch cannot be resumed", "session", row.Key, "error", err)
		return nil
	}
	e := newTurn(&entry{id: row.Key, record: known, revision: row.Revision, stored: known.pending})
	if known.pending != nil {
		e.seen = known.pending.At
	}
	if known.state == session.Pending && known.pending != nil {
		if e.announced = e.announced || told; !e.announced {
			e.owed = []change{{kind: event.TypePending, state: session.Pending, observation: known.pending, at: known.changed}}
		}
	}
	// Where the deadline was put off since, a record could go before its watch.
	e.dirty = !row.Expires.IsZero() && row.Expires.Before(known.created.Add(w.cfg.Deadline+spare))
	return e
}

// takeUpItems takes up what a version that had a queue of watches has left of it: those whose
// record it had no time to write.
func (w *Watcher) takeUpItems() error {
	return w.store.TakeOverQueue(w.ctx, "watches", func(ctx context.Context, name string, value []byte) error {
		id, _, _ := strings.Cut(name, "-")
		known, err := w.readRecord(value)
		if err != nil {
			w.options.Log.Error("watch cannot be resumed", "session", id, "error", err)
			return nil
		}
		w.mu.Lock()
		e, live := w.live[id]
		w.mu.Unlock()
		if !live { // as nearly all are, by their records
			if _, _, err := w.read(ctx, id); !errors.Is(err, ErrNotFound) {
				return err
			}
			e = w.begun(newEntry(id, known))
		}
		return w.settle(ctx, e, safe)
	})
}

// begun is the entry of e's session, which is e unless somebody was quicker.
func (w *Watcher) begun(e *entry) *entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if first, live := w.live[e.id]; live {
		return first
	}
	w.add(e)
	w.schedule(e, time.Now())
	return e
}

// untoldFor is longer than it takes to make an event of a final answer that is stored.
const untoldFor = time.Minute

// tellEnds tells of final answers that were stored just before a process was killed: where a
// session was over when it was first seen, there is no watch that would ask for it again. All that was
// stored of late is read for it, once for those take-ups that wait for it at the same time.
func (w *Watcher) tellEnds(t *takeUp) {
	w.mu.Lock()
	w.awaitingEnds[t] = struct{}{}
	w.mu.Unlock()
	w.readingEnds.Lock()
	defer w.readingEnds.Unlock()
	w.mu.Lock()
	some := w.awaitingEnds
	w.awaitingEnds = map[*takeUp]struct{}{}
	w.mu.Unlock()
	if _, waits := some[t]; !waits { // it was read for another one that waited
		return
	}
	concerned := func(id string) *takeUp {
		w.mu.Lock()
		defer w.mu.Unlock()
		for t := range some {
			if _, concerns := w.concerns(t, id); concerns {
				return t
			}
		}
		return nil
	}
	wanted := func(id string) bool { return concerned(id) != nil }
	w.insist("final answers of which nobody was told cannot be looked for yet", func() error {
		return w.options.Finals.Recent(w.ctx, untoldFor, wanted, w.options.Table.ReadDurable, func(v *session.Variant, o *session.Observation) {
			id := session.ID(w.store, v)
			if t := concerned(id); t != nil {
				w.tellEnd(t, id, v, o)
			}
		})
	})
}

// lateEnds is longer than a poll takes that was under way where a session was looked after before.
const lateEnds = 30 * time.Second

// tellLateEnds tells of final answers that were stored since a take-up, by who looked after the sessions
// before, if that one had no time to tell of them.
func (w *Watcher) tellLateEnds(t *takeUp) {
	w.mu.Lock()
	t.ends = true
	w.mu.Unlock()
	if w.awaitLate() {
		w.tellEnds(t)
	}
}

func (w *Watcher) tellEnd(t *takeUp, id string, v *session.Variant, o *session.Observation) {
	known, _, err := w.read(w.ctx, id)
	if err == nil && known.end == Final || w.ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	_, erased := t.gone[id]
	w.mu.Unlock()
	if !erased {
		w.Observe(v, o) // if that was told, it makes no other event
	}
}
