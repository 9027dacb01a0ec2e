package watch

import (
	"context"
	"encoding/binary"
	"errors"

	"pollbridge/store"
)

// firstSights knows up to which revision the first sight of each session is an event by now, so
// that a start need not find that out for each: it is noted now and then, which is one write
// where a mark in each record would be very many. All of it needs the watcher's lock.
//
// It relies on that this process alone writes records, as the one that has locked the engine's
// directory does: those that another one has not told yet would pass for told. With several
// processes, all first sights have to be asked of the log.
type firstSights struct {
	newest uint64            // revision that is known to be written
	behind map[*entry]uint64 // entries whose first sight is none yet, with a revision before theirs
	noted  uint64
}

// begin is told that a record is being written.
func (t *firstSights) begin(e *entry) {
	if _, known := t.behind[e]; !known && !e.announced {
		t.behind[e] = t.newest // its revision will be a later one
	}
}

// end is told what became of that.
func (t *firstSights) end(e *entry, err error, revision uint64) {
	if err == nil {
		t.newest = max(t.newest, revision)
	}
	if len(e.owed) == 0 {
		t.over(e) // there is nothing to be told yet
	}
}

// over is told that a first sight is an event, or none any more.
func (t *firstSights) over(e *entry) { delete(t.behind, e) }

// upTo is the revision up to which all are.
func (t *firstSights) upTo() uint64 {
	upTo := t.newest
	for _, revision := range t.behind {
		upTo = min(upTo, revision)
	}
	return upTo
}

const toldKey = "told"

// noteTold notes up to where first sights are events. If that fails, the start after it has
// more to find out.
func (w *Watcher) noteTold(ctx context.Context) {
	select {
	case <-w.takenUp:
	default:
		return // there may be others
	}
	w.mu.Lock()
	upTo, noted := w.sights.upTo(), w.sights.noted
	w.mu.Unlock()
	if upTo <= noted {
		return
	}
	newest, err := w.sessions.Newest(ctx)
	if err != nil {
		return
	}
	if upTo > newest { // the newest records were lost, and others come in their place
		w.mu.Lock()
		w.sights.newest, w.sights.noted = newest, 0
		w.mu.Unlock()
		return
	}
	if _, err := w.marks.Put(ctx, toldKey, binary.BigEndian.AppendUint64(nil, upTo), 0); err != nil {
		return
	}
	w.mu.Lock()
	w.sights.noted = upTo
	w.mu.Unlock()
}

// readTold reads what was noted.
func (w *Watcher) readTold(ctx context.Context) (upTo uint64, err error) {
	mark, err := w.marks.Get(ctx, toldKey)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrDamaged), err == nil && len(mark.Value) != 8:
		return 0, nil
	case err != nil:
		return 0, err
	}
	return binary.BigEndian.Uint64(mark.Value), nil
}
