package store

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

const (
	noteInterval  = 250 * time.Millisecond // between notes of where a follower is
	shortestPause = 50 * time.Millisecond  // before what failed is tried again
	longestPause  = 5 * time.Second
)

// Follow hands each entry to f, in order and one at a time, from where the follower with
// that name was the last time, or from the first entry, until ctx ends; it returns when the
// last call has. An entry is over when f has returned nil and done was called, which may be
// later, by any goroutine, in any order, more than once. After an error of f it gets the
// entry again at once; after a crash it gets all that were not over, and some that were.
// What is called done after Follow has returned is not noted: whoever follows next gets it
// again. An entry that cannot be decrypted is logged and left out; where several processes share the store, after it was
// left to the others for some minutes.
//
// In a store that several processes share each entry goes to one of those who follow with
// that name, in no order; else nobody may follow with that name at that time. Where they share it,
// Follow waits at its end for the entries of which finishes, which may be nil, says that they will be over,
// and gives the rest to the others.
func (j *Journal) Follow(ctx context.Context, name string, f func(ctx context.Context, entry Entry, done func()) error, finishes func(sequence uint64) bool) error {
	j.s.running.Add(1)
	defer j.s.running.Done()
	if j.s.shared {
		ctx, cancel := period.Either(ctx, j.s.ctx)
		defer cancel()
		return j.followShared(ctx, name, f, finishes)
	}
	follower := &follower{j: j, name: name, key: j.name + "." + name, f: f, log: j.s.log.With("journal", j.name, "follower", name)}
	if err := checkKey(follower.key); err != nil {
		return err
	}
	ctx, cancel := period.Either(ctx, j.s.ctx)
	defer cancel()
	if !retry(ctx, follower.log, func() error { return follower.arrive(ctx) }) {
		return nil
	}
	noted := make(chan struct{})
	go func() {
		defer close(noted)
		follower.noteUntil(ctx)
	}()
	j.s.insist(ctx, follower.round, func(err error) {
		follower.log.Warn("event follower is not making progress", "error", err)
	})
	<-noted
	return nil
}

// Followed returns up to which entry all are over for the follower with that name, whichever
// process that is in. After a crash none of those is handed out again.
func (j *Journal) Followed(ctx context.Context, name string) (sequence uint64, err error) {
	if j.s.shared {
		return j.followedShared(ctx, name)
	}
	return j.noted(ctx, name)
}

// noted is how far a process that was alone has followed.
func (j *Journal) noted(ctx context.Context, name string) (sequence uint64, err error) {
	record, err := j.s.followers.Get(ctx, j.name+"."+name)
	switch {
	case errors.Is(err, ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case len(record.Value) != 8:
		return 0, ErrDamaged
	}
	return binary.BigEndian.Uint64(record.Value), nil
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

// follower knows how far a journal was followed. It notes that in a bucket now and
// then: a note costs as much as an entry.
type follower struct {
	j     *Journal
	name  string
	key   string // of the note
	f     func(context.Context, Entry, func()) error
	log   *slog.Logger
	given uint64 // all up to here were handed out
	span  span
	noted uint64
}

func (w *follower) arrive(ctx context.Context) error {
	noted, err := w.j.noted(ctx, w.name)
	if err != nil {
		return err
	}
	w.given, w.noted = noted, noted
	w.span.begin(w.given)
	return nil
}

// round hands out entries while the server runs.
func (w *follower) round(ctx context.Context) error {
	if err := w.j.s.Err(); err != nil {
		return err
	}
	// When the power failed, and not every write was synced, the note may have come further
	// than the entries.
	newest, err := w.j.Newest(ctx)
	if err != nil {
		return err
	}
	if w.given > newest {
		w.given = newest
		w.span.cut(newest)
	}
	return w.j.hear(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.given + 1},
		nil, func(m *message) error { return w.hand(ctx, m) })
}

// hand hands one entry out.
func (w *follower) hand(ctx context.Context, m *message) error {
	if err := w.j.s.Err(); err != nil {
		return err // what cannot be written may be seen, and gone later
	}
	entry, err := w.j.entry(m, nil)
	if err != nil {
		w.log.Error("journal entry cannot be decrypted, skipping it", "sequence", m.Sequence, "error", err)
		w.span.add(m.Sequence)()
		w.given = m.Sequence
		return nil
	}
	done := w.span.add(m.Sequence)
	if !retry(ctx, w.log, func() error { return w.f(ctx, entry, done) }) {
		return context.Cause(ctx)
	}
	w.given = m.Sequence
	return nil
}

// noteUntil notes what is over now and then, and once more when ctx has ended.
func (w *follower) noteUntil(ctx context.Context) {
	tick := time.NewTicker(noteInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.note(ctx)
		case <-ctx.Done():
			w.note(context.Background())
			return
		}
	}
}

func (w *follower) note(ctx context.Context) {
	over := w.span.over()
	if over == w.noted {
		return
	}
	if _, err := w.j.s.followers.Put(ctx, w.key, binary.BigEndian.AppendUint64(nil, over), 0); err == nil {
		w.noted = over
	}
}
