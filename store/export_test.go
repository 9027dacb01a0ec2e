package store

import (
	"bytes"
	"context"
	"math"
	"time"

	"pollbridge/session"
)

// KeepHalf leaves what a process leaves that is killed while it keeps an answer.
func (f *Finals) KeepHalf(ctx context.Context, v *session.Variant, body []byte) error {
	return f.write(ctx, answer{question: f.question(v, v.Locale), upload: "killedkilledkilledki00"}.chunk("0"), body)
}

// Sweep is what happens when the finals of a store are opened first, with chunks of that age.
func (f *Finals) Sweep(ctx context.Context, age time.Duration) error { return f.sweep(ctx, age) }

// KeepInFirstForm stores an answer as versions did that did not share bodies.
func (f *Finals) KeepInFirstForm(ctx context.Context, v *session.Variant, o *session.Observation) error {
	return f.keepBody(ctx, answer{question: f.question(v, int(o.Locale))}, session.AppendHead(nil, nil, o), o.Body)
}

// KeepInUnknownForm stores an answer as a later version might.
func (f *Finals) KeepInUnknownForm(ctx context.Context, v *session.Variant, o *session.Observation) error {
	return f.write(ctx, f.question(v, int(o.Locale)).subject("answer", "3", "x"), session.AppendHead(nil, nil, o))
}

// LoseChunk erases one part of the large answers to v.
func (f *Finals) LoseChunk(ctx context.Context, v *session.Variant, number string) error {
	return f.purge(ctx, answer{question: f.question(v, v.Locale), upload: "*"}.chunk(number))
}

// ChunksOf is how many there are of one session.
func (f *Finals) ChunksOf(ctx context.Context, sessionID string) (int, error) {
	return f.count(ctx, finalsID+".chunk."+sessionID+".>", 1)
}

// Bytes is how much of the disk is taken.
func (f *Finals) Bytes(ctx context.Context) (uint64, error) {
	info, err := f.js.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Bytes, nil
}

// Chunks is how many parts of large answers there are.
func (f *Finals) Chunks(ctx context.Context) (int, error) {
	return f.count(ctx, finalsID+".chunk.>", 1)
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

// ForgetIDs leaves what a version left that kept nothing about ids.
func (s *Store) ForgetIDs(ctx context.Context) error { return s.own.Delete(ctx, idRecord) }
