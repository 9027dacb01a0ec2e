package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"
)

const (
	// mostOfStart is for how long a start waits until all watches are taken up.
	mostOfStart = 2 * time.Second
	// againAfter is how long after a failure they are looked for again.
	againAfter = 250 * time.Millisecond
)

// takeUp takes up all that were watched before. While they cannot be read it goes on.
func (w *Watcher) takeUp() {
	if !w.takeUpAll() {
		return
	}
	close(w.takenUp)
	w.tellEnds()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = nil
}

// takeUpAll returns false if the watcher was closed meanwhile.
func (w *Watcher) takeUpAll() bool {
	for after := uint64(0); ; {
		upTo, err := w.readTold(w.ctx)
		if err == nil {
			err = w.sessions.Each(w.ctx, after, func(row store.Record) {
				after = row.Revision
				w.takeUpOne(row, row.Revision <= upTo)
			})
		}
		if err == nil {
			break
		}
		w.complaints.Do(func() {
			w.options.Log.Error("watches cannot be taken up yet", "error", err)
		})
		if !w.pause(againAfter) {
			return false
		}
	}
	w.takeUpItems()
	return true
}

// takeUpOne takes up what is watched. toldOf says that its first sight is an event.
func (w *Watcher) takeUpOne(row store.Record, toldOf bool) {
	known, err := w.readRecord(row.Value)
	if err != nil {
		if known.end == Watching {
			w.options.Log.Error("watch cannot be resumed", "session", row.Key, "error", err)
		}
		return
	}
	if known.end != Watching {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, erased := w.gone[row.Key]; erased || w.live[row.Key] != nil {
		return // since it was read, or somebody was quicker
	}
	e := &entry{id: row.Key, record: known, revision: row.Revision, stored: known.pending, place: -1}
	w.live[e.id] = e
	w.sights.newest = max(w.sights.newest, row.Revision)
	if known.state == session.Pending && known.pending != nil {
		e.announced = e.announced || toldOf
	}
	if known.state == session.Pending && known.pending != nil && !e.announced {
		w.sights.behind[e] = row.Revision - 1
		e.owed = []change{{kind: event.TypePending, state: session.Pending, observation: known.pending, at: known.changed}}
		w.settleLater(e)
	}
	// Not all at the same moment: this may be one of very many.
	w.schedule(e, time.Now().Add(rand.N(min(w.cfg.Interval, time.Second))))
}

// takeUpItems takes up what a version that had a queue of watches has left of it: those whose
// record it had no time to write.
func (w *Watcher) takeUpItems() {
	err := w.store.TakeOverQueue(w.ctx, "watches", func(ctx context.Context, name string, value []byte) error {
		id, _, _ := strings.Cut(name, "-")
		known, err := w.readRecord(value)
		if err != nil {
			w.options.Log.Error("watch cannot be resumed", "session", id, "error", err)
			return nil
		}
		w.mu.Lock()
		_, live := w.live[id] // as nearly all are, by their records
		w.mu.Unlock()
		if live {
			return nil
		}
		if _, _, err := w.read(ctx, id); !errors.Is(err, ErrNotFound) {
			return err
		}
		e := newEntry(id, known)
		w.mu.Lock()
		w.live[id] = e
		w.schedule(e, time.Now())
		w.mu.Unlock()
		return w.settle(ctx, e, safe)
	})
	if err != nil && w.ctx.Err() == nil {
		w.options.Log.Error("watches of an earlier version cannot be taken up", "error", err)
	}
}

// untoldFor is longer than it takes to make an event of a final answer that is stored.
const untoldFor = time.Minute

// tellEnds tells of final answers that were stored just before a process was killed: where a
// session was over when it was first seen, there is no watch that would ask for it again.
func (w *Watcher) tellEnds() {
	for {
		err := w.options.Finals.Recent(w.ctx, untoldFor, w.options.Table.ReadDurable, w.tellEnd)
		if err == nil || w.ctx.Err() != nil {
			return
		}
		w.complaints.Do(func() {
			w.options.Log.Error("final answers of which nobody was told cannot be looked for yet", "error", err)
		})
		if !w.pause(againAfter) {
			return
		}
	}
}

func (w *Watcher) tellEnd(v *session.Variant, o *session.Observation) {
	id := w.store.SessionID(v)
	known, _, err := w.read(w.ctx, id)
	if err == nil && known.end == Final || w.ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	_, erased := w.gone[id]
	w.mu.Unlock()
	if !erased {
		w.Observe(v, o) // if that was told, it makes no other event
	}
}
