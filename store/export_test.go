package store

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"time"
)

// KeepHalf leaves what a process leaves that is killed while it keeps a body.
func (b *Bodies) KeepHalf(ctx context.Context, what Body) error {
	return b.write(ctx, address{owner: what.Owner, name: what.Name, upload: "killedkilledkilledki00"}.chunk("0"), what.Body[:1<<20])
}

// Sweep is what happens when the bodies of a store are opened first, with chunks of that age.
func (b *Bodies) Sweep(ctx context.Context, age time.Duration) error { return b.sweep(ctx, age) }

// KeepInFirstForm stores a body as versions did that did not share them.
func (b *Bodies) KeepInFirstForm(ctx context.Context, what Body) error {
	return b.keepBody(ctx, address{owner: what.Owner, name: what.Name}, framed(what.Head), what.Body)
}

// KeepInUnknownForm stores a body as a later version might.
func (b *Bodies) KeepInUnknownForm(ctx context.Context, what Body) error {
	return b.write(ctx, address{owner: what.Owner, name: what.Name}.of("answer", "3", "x"), framed(what.Head))
}

// LoseChunk erases one part of what has that name.
func (b *Bodies) LoseChunk(ctx context.Context, what Body, number string) error {
	return b.purge(ctx, address{owner: what.Owner, name: what.Name, upload: "*"}.chunk(number))
}

// ChunksOf is how many there are of one owner.
func (b *Bodies) ChunksOf(ctx context.Context, owner string) (int, error) {
	return b.count(ctx, bodiesID+".chunk."+owner+".>", 1)
}

// Bytes is how much of the disk is taken.
func (b *Bodies) Bytes(ctx context.Context) (uint64, error) {
	info, err := b.js.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Bytes, nil
}

// Chunks is how many parts of large bodies there are.
func (b *Bodies) Chunks(ctx context.Context) (int, error) {
	return b.count(ctx, bodiesID+".chunk.>", 1)
}

// MoveValue puts what is stored for one key in the place of another's.
func (b *Bucket) MoveValue(ctx context.Context, from, to string) error {
	m, err := b.last(ctx, b.subject(from))
	if err != nil {
		return err
	}
	_, err = b.s.js.Publish(ctx, b.subject(to), bytes.Clone(m.Data))
	return err
}

// Lose has the server lose what it knows of the consumers of a subject, as when it is started
// anew.
func (q *Queue) Lose(ctx context.Context, subject string) error {
	return q.js.DeleteConsumer(ctx, subject)
}

// Read returns a record as the server that leads the stream tells of it.
func (b *Bucket) Read(ctx context.Context, key string) (Record, error) {
	m, err := b.leading(ctx, wanted{Newest: b.subject(key)})
	if err != nil {
		return Record{}, err
	}
	if gone(m) {
		return Record{}, ErrNotFound
	}
	return b.record(m)
}

// GetCopied is Get where several servers have copies.
func (j *Journal) GetCopied(ctx context.Context, sequence uint64) (Entry, error) {
	return j.entry(j.getCopied(ctx, sequence))
}

// Copied has a bucket taken for one of which several servers have copies.
func (b *Bucket) Copied() *Bucket {
	b.js.CachedInfo().Config.Replicas = 3
	return b
}

// Follows reports whether an entry follows a sequence, where the one with the sequence heard was
// heard of.
func (j *Journal) Follows(ctx context.Context, sequence, heard uint64) (bool, error) {
	return j.follows(ctx, sequence, heard)
}

// PlaceKeys returns what derives the key of a place from a store's key.
func PlaceKeys(secret []byte) func(place string) []byte {
	k := newKeys([][]byte{secret}).seals[0]
	return func(p string) []byte { return k.keyOf(place(p)) }
}

// Batches is how many of the records that are kept were the first of a batch.
func (b *Bucket) Batches(ctx context.Context) (n int, err error) {
	err = b.scan(ctx, "", 1, math.MaxInt, func(m *message) bool {
		if m.Header.Get("Nats-Batch-Sequence") == "1" {
			n++
		}
		return true
	})
	return n, err
}

// StoredByFormat leaves what a version leaves that stores in another format.
func (s *Store) StoredByFormat(ctx context.Context, format int) error {
	value, err := json.Marshal(formatIs{format})
	if err == nil {
		_, err = s.own.Put(ctx, formatRecord, value, 0)
	}
	return err
}

// StoredFormat is the format that is told of what is stored.
func (s *Store) StoredFormat(ctx context.Context) (int, error) {
	var is formatIs
	record, err := s.own.Get(ctx, formatRecord)
	if err == nil {
		err = json.Unmarshal(record.Value, &is)
	}
	return is.Format, err
}

// ForgetIDs leaves what a version left that kept nothing about ids.
func (s *Store) ForgetIDs(ctx context.Context) error { return s.own.Delete(ctx, idRecord) }
