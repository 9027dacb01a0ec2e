package store

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket keeps the last value of each key, encrypted. Keys are in clear: they must hold
// no secret, and consist of dot-separated tokens of letters, digits, "-", "_" and "=".
// Values may have up to 7 MiB, else they are ErrTooLarge.
type Bucket struct{ stream }

// BucketConfig describes a bucket.
type BucketConfig struct {
	Name   string        // in lower-case letters
	MaxAge time.Duration // after its last change a value is forgotten; 0: never
}

// Record is one value of a bucket. It belongs to the caller.
type Record struct {
	Key      string
	Value    []byte
	Revision uint64    // grows with every change of the bucket
	At       time.Time // of the last change
	Expires  time.Time // when it is forgotten for its ttl; zero: never

	writer int // which of the keys has encrypted it; 0: that which encrypts now
}

// markerAge is how long a key that has no value any more is known to have had one, so
// that watchers learn of it.
const markerAge = time.Minute

// Bucket opens a bucket and makes it if it is not there; a changed MaxAge is applied.
func (s *Store) Bucket(ctx context.Context, cfg BucketConfig) (*Bucket, error) {
	b, err := s.openBucket(ctx, cfg, "TABLE_")
	if err == nil && cfg.MaxAge == 0 {
		err = b.encryptAnewInTime(ctx)
	}
	return b, err
}

func (s *Store) openBucket(ctx context.Context, cfg BucketConfig, prefix string) (*Bucket, error) {
	id := prefix + cfg.Name
	opened, err := s.openStream(ctx, jetstream.StreamConfig{
		Name: id, Subjects: []string{id + ".>"}, MaxAge: cfg.MaxAge, MaxMsgsPerSubject: 1,
		AllowRollup: true, AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerAge,
	}, collectingRecords)
	return &Bucket{opened}, err
}

func (b *Bucket) place(key string) place { return placeOf("table", b.id, key) }

// Get returns the value of a key. The error is ErrNotFound where there is none. With
// ErrDamaged the record has all but its value.
func (b *Bucket) Get(ctx context.Context, key string) (Record, error) {
	return b.GetSince(ctx, key, 0)
}

// GetSince is Get by somebody who has seen that key's value of a revision, at whatever server: nothing older is
// returned, and ErrNotFound means that the value is gone.
func (b *Bucket) GetSince(ctx context.Context, key string, revision uint64) (Record, error) {
	m, err := b.value(ctx, key, revision)
	if err != nil {
		return Record{}, err
	}
	return b.record(m)
}

// value is the message of GetSince.
func (b *Bucket) value(ctx context.Context, key string, revision uint64) (*message, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	m, err := b.last(ctx, b.subject(key))
	if revision > 0 && b.copied() && (errors.Is(err, ErrNotFound) || err == nil && m.Sequence < revision) {
		if _, err := b.reach(ctx, revision); err != nil {
			return nil, err
		}
		m, err = b.last(ctx, b.subject(key))
	}
	if err == nil && gone(m) {
		err = ErrNotFound
	}
	return m, err
}

func (b *Bucket) record(m *message) (Record, error) {
	key := b.key(m)
	value, err := b.s.keys.decrypt(nil, b.place(key), m.Data)
	r := Record{Key: key, Value: value, Revision: m.Sequence, At: m.Time, Expires: expires(m)}
	if err == nil {
		r.writer = b.s.keys.writer(m.Data)
	}
	return r, err
}

// Create stores a value for a key that has none; else it fails with ErrConflict. When
// it returns nil, the value is durable. A ttl of more than 0 forgets the value after
// that time, at least a second and cut to whole seconds.
func (b *Bucket) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	// There may be a marker of an earlier value, which may go meanwhile.
	var marker uint64
	for range 3 {
		revision, err = b.write(ctx, key, value, ttl, func(m *nats.Msg) { expecting(m, marker) })
		if !errors.Is(err, ErrConflict) {
			return revision, err
		}
		switch m, err := b.last(ctx, b.subject(key)); {
		case errors.Is(err, ErrNotFound):
			marker = 0
		case err != nil:
			return 0, err
		case !gone(m):
			return 0, ErrConflict
		default:
			marker = m.Sequence
		}
	}
	return 0, ErrConflict
}

// Update replaces the value that has that revision; else it fails with ErrConflict.
// ttl is as in Create; 0 takes an earlier one away.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	return b.write(ctx, key, value, ttl, func(m *nats.Msg) { expecting(m, revision) })
}

// Put stores a value whatever there was. ttl is as in Create.
func (b *Bucket) Put(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	return b.write(ctx, key, value, ttl, func(*nats.Msg) {})
}

func (b *Bucket) write(ctx context.Context, key string, value []byte, ttl time.Duration, condition func(*nats.Msg)) (uint64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	m := nats.NewMsg(b.subject(key))
	m.Data = b.s.keys.encrypt(b.place(key), value)
	if ttl > 0 {
		m.Header.Set(jetstream.MsgTTLHeader, max(time.Second, ttl.Truncate(time.Second)).String())
	}
	condition(m)
	return b.writes.put(ctx, m)
}

// Delete erases a key and its value; it is no error if there is none. Watchers are
// told.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	return b.DeleteSince(ctx, key, 0)
}

// DeleteSince is Delete by somebody who has seen that key's value of a revision, at whatever server.
func (b *Bucket) DeleteSince(ctx context.Context, key string, revision uint64) error {
	_, err := b.value(ctx, key, revision)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.mark(ctx, key)
}

// DeleteIf is Delete of a value that has that revision; else it fails with ErrConflict.
func (b *Bucket) DeleteIf(ctx context.Context, key string, revision uint64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return b.mark(ctx, key, jetstream.WithExpectLastSequencePerSubject(revision))
}

// mark puts a marker in the place of a value, that tells watchers that there is none.
func (b *Bucket) mark(ctx context.Context, key string, options ...jetstream.PublishOpt) error {
	marker := nats.NewMsg(b.subject(key))
	marker.Header.Set(operationHeader, operationPurge)
	marker.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	_, err := b.s.publish(ctx, marker, append(options, jetstream.WithMsgTTL(markerAge))...)
	return err
}
