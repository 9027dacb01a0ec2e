package store

import (
	"context"
	"time"
)

// Journal is an ordered, encrypted record of what happened; each entry is about a key
// (see Table for what keys are). Entries never change.
type Journal struct{}

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
}

// Journal opens a journal and makes it if it is not there; a changed MaxAge is
// applied.
func (s *Store) Journal(ctx context.Context, cfg JournalConfig) (*Journal, error) {
	panic("store: not built yet")
}

// Append adds an entry if last is the sequence of the newest entry about that key (0:
// there is none), else it fails with ErrConflict. When it returns nil, the entry is
// durable.
func (j *Journal) Append(ctx context.Context, key string, value []byte, last uint64) (sequence uint64, err error) {
	panic("store: not built yet")
}

// Last returns the newest entry about a key, or ErrNotFound.
func (j *Journal) Last(ctx context.Context, key string) (Entry, error) {
	panic("store: not built yet")
}

// Get returns the entry with that sequence, or ErrNotFound.
func (j *Journal) Get(ctx context.Context, sequence uint64) (Entry, error) {
	panic("store: not built yet")
}

// Erase removes all entries about a key.
func (j *Journal) Erase(ctx context.Context, key string) error { panic("store: not built yet") }

// After returns up to limit entries that follow a sequence, in their order. Where
// there is none it waits for one, no longer than ctx, and then returns none and no
// error.
func (j *Journal) After(ctx context.Context, sequence uint64, limit int) ([]Entry, error) {
	panic("store: not built yet")
}

// Newest returns the sequence of the newest entry of all, or 0.
func (j *Journal) Newest(ctx context.Context) (uint64, error) { panic("store: not built yet") }

// Follow calls f for each entry, in order and one at a time, from where the follower
// with that name was the last time, until ctx ends; it returns when the last call has.
// An entry is done when f returns nil; otherwise, and after a crash, f gets it again,
// and entries before it that were done shortly before the crash.
func (j *Journal) Follow(ctx context.Context, name string, f func(context.Context, Entry) error) error {
	panic("store: not built yet")
}
