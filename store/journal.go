package store

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/internal/period"
)

// Journal is an ordered, encrypted record of what happened; each entry is about a key
// (see Bucket for what keys are, and for the size of values). Entries never change.
type Journal struct {
	stream
	name string
	news news
}

// JournalConfig describes a journal.
type JournalConfig struct {
	Name   string        // in lower-case letters
	MaxAge time.Duration // entries are forgotten after it; more than 0
}

// Entry is one entry of a journal. It belongs to the caller.
type Entry struct {
	Key      string
	Value    []byte
	Sequence uint64 // its place in the journal; grows, not always by one
	At       time.Time
	Again    bool // it was handed to a follower before, who may be at work on it
}

// Journal opens a journal and makes it if it is not there; a changed MaxAge is
// applied.
func (s *Store) Journal(ctx context.Context, cfg JournalConfig) (*Journal, error) {
	id := "JOURNAL_" + cfg.Name
	opened, err := s.openStream(ctx, jetstream.StreamConfig{Name: id, Subjects: []string{id + ".>"}, MaxAge: cfg.MaxAge}, collectingEvents)
	if err != nil {
		return nil, err
	}
	j := &Journal{stream: opened, name: cfg.Name}
	known, _ := s.journals.LoadOrStore(id, j)
	return known.(*Journal), nil
}

func (j *Journal) place(key string) place { return placeOf("journal", j.name, key) }

// Append adds an entry if last is the sequence of the newest entry about that key (0:
// there is none), else it fails with ErrConflict. When it returns nil, the entry is
// durable.
func (j *Journal) Append(ctx context.Context, key string, value []byte, last uint64) (sequence uint64, err error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	m := nats.NewMsg(j.subject(key))
	m.Data = j.s.keys.encrypt(j.place(key), value)
	return j.writes.put(ctx, expecting(m, last))
}

// Last returns the newest entry about a key, or ErrNotFound.
func (j *Journal) Last(ctx context.Context, key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	return j.entry(j.last(ctx, j.subject(key)))
}

// Get returns the entry with that sequence, which was handed out or returned before, or ErrNotFound:
// it is gone.
func (j *Journal) Get(ctx context.Context, sequence uint64) (Entry, error) {
	if sequence == 0 {
		return Entry{}, ErrNotFound
	}
	return j.entry(j.get(ctx, sequence))
}

func (j *Journal) entry(m *message, err error) (Entry, error) {
	if err != nil {
		return Entry{}, err
	}
	key := j.key(m)
	value, err := j.s.keys.decrypt(nil, j.place(key), m.Data)
	return Entry{Key: key, Value: value, Sequence: m.Sequence, At: m.Time}, err
}

// Erase removes all entries about a key.
func (j *Journal) Erase(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return j.purge(ctx, j.subject(key))
}

// After returns up to limit entries that follow a sequence, in their order; fewer if
// they are large. Where there is none it waits for one, no longer than ctx, and then
// returns none and no error. An entry that cannot be decrypted is logged and left out.
func (j *Journal) After(ctx context.Context, sequence uint64, limit int) ([]Entry, error) {
	for {
		news := j.news.next(j)
		if err := j.s.Err(); err != nil {
			return nil, err // what cannot be written may be seen, and gone later
		}
		entries, last, err := j.read(ctx, sequence, limit)
		if ctx.Err() != nil {
			return nil, nil
		}
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		if last > sequence {
			sequence = last // none of them could be read
			continue
		}
		switch more, err := j.missing(ctx, sequence); {
		case ctx.Err() != nil:
			return nil, nil
		case err != nil:
			return nil, err
		case more:
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, nil
		case <-j.s.ctx.Done():
			return nil, errClosed
		}
	}
}

// missing reports whether there is an entry after a sequence that a server did not know of which has a
// copy, and gives it a moment to.
func (j *Journal) missing(ctx context.Context, sequence uint64) (bool, error) {
	heard := j.news.newest()
	if heard <= sequence || !j.copied() {
		return false, nil
	}
	more, err := j.follows(ctx, sequence, heard)
	if err == nil && more {
		err = period.Pause(ctx, 5*time.Millisecond)
	}
	return more, err
}

// read returns what follows a sequence now, and the sequence of the last entry that
// was looked at.
func (j *Journal) read(ctx context.Context, sequence uint64, limit int) (entries []Entry, last uint64, err error) {
	size := 0
	err = j.scan(ctx, "", sequence+1, limit, func(m *message) bool {
		last = m.Sequence
		entry, err := j.entry(m, nil)
		if err != nil {
			j.s.log.Error("journal entry cannot be decrypted, skipping it", "journal", j.name, "sequence", m.Sequence, "error", err)
			return true
		}
		entries = append(entries, entry)
		size += len(entry.Value)
		return size < maxBatchBytes
	})
	return entries, last, err
}

// Bounds returns the sequences of the newest entry, as Newest does, and of the oldest that may
// be there: one more than the newest where all were forgotten.
func (j *Journal) Bounds(ctx context.Context) (newest, oldest uint64, err error) {
	return j.bounds(ctx)
}

// Newest returns the sequence of the newest entry of all, which may have been
// forgotten meanwhile, or 0 if there never was one.
func (j *Journal) Newest(ctx context.Context) (uint64, error) {
	newest, _, err := j.bounds(ctx)
	return newest, err
}

// Reach is Newest, but waits a moment for a sequence that somebody knows of, which the server that leads
// may not: after a wait in vain the error is ErrBehind.
func (j *Journal) Reach(ctx context.Context, sequence uint64) (newest uint64, err error) {
	if !j.copied() {
		return j.Newest(ctx)
	}
	return j.reach(ctx, sequence)
}
