package store

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"
)

const (
	followBatch   = 256
	noteInterval  = 250 * time.Millisecond // between notes of where a follower is
	shortestPause = 50 * time.Millisecond  // before what failed is tried again
	longestPause  = 5 * time.Second
)

// Follow calls f for each entry, in order and one at a time, from where the follower
// with that name was the last time, or from the first entry, until ctx ends; it
// returns when the last call has. An entry is done when f returns nil; otherwise, and
// after a crash, f gets it again, and entries before it that were done shortly before
// the crash. Nobody else may follow with that name at that time. An entry that cannot
// be decrypted is logged and left out.
func (j *Journal) Follow(ctx context.Context, name string, f func(context.Context, Entry) error) error {
	j.s.running.Add(1)
	defer j.s.running.Done()
	follower := &follower{j: j, key: j.name + "." + name}
	if err := checkKey(follower.key); err != nil {
		return err
	}
	ctx, cancel := either(ctx, j.s.ctx)
	defer cancel()
	log := j.s.log.With("journal", j.name, "follower", name)
	if !retry(ctx, log, func() error { return follower.arrive(ctx) }) {
		return nil
	}
	defer follower.leave()
	for {
		var entries []Entry
		if !retry(ctx, log, func() (err error) { entries, err = follower.next(ctx); return err }) {
			return nil
		}
		for _, entry := range entries {
			if !retry(ctx, log, func() error { return f(ctx, entry) }) {
				return nil
			}
			follower.done = entry.Sequence
			follower.note(ctx)
		}
	}
}

// retry calls f until it returns nil, with longer and longer pauses. It returns false
// if ctx ended before that.
func retry(ctx context.Context, log *slog.Logger, f func() error) bool {
	for pause := shortestPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		err := f()
		if err == nil {
			return true
		}
		if pause == longestPause && ctx.Err() == nil {
			log.Warn("event follower is not making progress", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return false
}

// follower knows how far a journal was followed. It notes that in a table now and
// then: a note costs as much as an entry.
type follower struct {
	j     *Journal
	key   string
	done  uint64 // all up to here is
	noted uint64
	at    time.Time // when that was noted
}

func (w *follower) arrive(ctx context.Context) error {
	record, err := w.j.s.followers.Get(ctx, w.key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(record.Value) != 8 {
		return ErrDamaged
	}
	w.noted = binary.BigEndian.Uint64(record.Value)
	// When the power failed, and not every write was synced, the note may have come
	// further than the entries.
	newest, err := w.j.Newest(ctx)
	w.done = min(w.noted, newest)
	return err
}

// next waits for entries. While there are none, it notes what was done.
func (w *follower) next(ctx context.Context) ([]Entry, error) {
	if w.noted != w.done {
		defer w.note(ctx)
		soon, cancel := context.WithTimeout(ctx, noteInterval)
		defer cancel()
		ctx = soon
	}
	return w.j.After(ctx, w.done, followBatch)
}

func (w *follower) note(ctx context.Context) {
	if w.noted == w.done || time.Since(w.at) < noteInterval {
		return
	}
	w.at = time.Now()
	if _, err := w.j.s.followers.Put(ctx, w.key, binary.BigEndian.AppendUint64(nil, w.done), 0); err == nil {
		w.noted = w.done
	}
}

// leave notes what was done before the follower stops.
func (w *follower) leave() {
	w.at = time.Time{}
	w.note(context.Background())
}
