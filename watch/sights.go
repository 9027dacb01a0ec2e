package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"pollbridge/store"
)

// firstSights knows up to which revision the first sight of each session is an event by now, so
// that a start need not find that out for each: it is noted now and then, which is one write
// where a mark in each record would be very many. All of it needs the watcher's lock.
//
// It relies on that nobody else writes records of the sessions that it is noted for: those that
// another process has not told yet would pass for told. In a fleet it is noted for the slots that
// this process holds and whose watches it has taken up; revisions are those of all replicas.
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

// toldKey is where it is noted; in a fleet each replica does so for the slots that it has taken up.
const toldKey = "told"

// markAge is how long what a replica has noted is kept after its end: others take over sooner.
const markAge = time.Hour

// noteTold notes up to where first sights are events. If that fails, the start after it has
// more to find out.
func (w *Watcher) noteTold(ctx context.Context) {
	w.mu.Lock()
	upTo, noted, busy := w.sights.upTo(), w.sights.noted, w.takingUp()
	slots := w.completeSlots()
	w.mu.Unlock()
	if busy || upTo <= noted { // there may be others
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
	key, ttl := toldKey, time.Duration(0)
	if w.options.Share != nil {
		key, ttl = toldKey+"."+w.options.Share.Replica(), markAge
	}
	if _, err := w.marks.Put(ctx, key, append(binary.BigEndian.AppendUint64(nil, upTo), slots...), ttl); err != nil {
		return
	}
	w.mu.Lock()
	w.sights.noted = upTo
	w.mu.Unlock()
}

// takingUp reports whether watches are being taken up. It needs the lock.
func (w *Watcher) takingUp() bool {
	for t := range w.takeUps {
		select {
		case <-t.done:
		default:
			return true
		}
	}
	return false
}

// completeSlots is a bit for each slot that was taken up. It needs the lock.
func (w *Watcher) completeSlots() (bits []byte) {
	for slot := range w.complete {
		for len(bits) <= slot/8 {
			bits = append(bits, 0)
		}
		bits[slot/8] |= 1 << (slot % 8)
	}
	return bits
}

// marks is up to which revision first sights are events, by slot; where there is no fleet all are
// in slot 0.
type marks map[int]uint64

func (m marks) upTo(slot int) uint64 { return m[slot] }

func (w *Watcher) slotOf(id string) int {
	if w.options.Share == nil {
		return 0
	}
	return w.options.Share.Slot(id)
}

// readTold reads what was noted about slots by those who have looked after them, or about all.
func (w *Watcher) readTold(ctx context.Context, slots []Slot) (marks, error) {
	if w.options.Share == nil {
		mark, err := w.mark(ctx, toldKey)
		if err != nil || len(mark) != 8 {
			return nil, err
		}
		return marks{0: binary.BigEndian.Uint64(mark)}, nil
	}
	told, by := marks{}, map[string][]byte{}
	for _, slot := range slots {
		if slot.From == "" {
			continue
		}
		mark, read := by[slot.From]
		if !read {
			var err error
			if mark, err = w.mark(ctx, toldKey+"."+slot.From); err != nil {
				return nil, err
			}
			by[slot.From] = mark
		}
		if at := 8 + slot.Number/8; len(mark) > at && mark[at]&(1<<(slot.Number%8)) != 0 {
			told[slot.Number] = binary.BigEndian.Uint64(mark)
		}
	}
	return told, nil
}

// mark is what was noted under a key; nil if nothing was that can be read.
func (w *Watcher) mark(ctx context.Context, key string) ([]byte, error) {
	mark, err := w.marks.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
		return nil, nil
	}
	return mark.Value, err
}
