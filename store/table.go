package store

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Table keeps the last value of each key, encrypted. Keys are in clear: they must hold
// no secret, and consist of dot-separated tokens of letters, digits, "-", "_" and "=".
// Values may have up to 7 MiB, else they are ErrTooLarge.
type Table struct{ stream }

// TableConfig describes a table.
type TableConfig struct {
	Name   string        // in lower-case letters
	MaxAge time.Duration // after its last change a value is forgotten; 0: never
}

// Record is one value of a table. It belongs to the caller.
type Record struct {
	Key      string
	Value    []byte
	Revision uint64    // grows with every change of the table
	At       time.Time // of the last change
}

// markerAge is how long a key that has no value any more is known to have had one, so
// that watchers learn of it.
const markerAge = time.Minute

// Table opens a table and makes it if it is not there; a changed MaxAge is applied.
func (s *Store) Table(ctx context.Context, cfg TableConfig) (*Table, error) {
	return s.openTable(ctx, cfg, "TABLE_")
}

func (s *Store) openTable(ctx context.Context, cfg TableConfig, prefix string) (*Table, error) {
	id := prefix + cfg.Name
	opened, err := s.openStream(ctx, jetstream.StreamConfig{
		Name: id, Subjects: []string{id + ".>"}, MaxAge: cfg.MaxAge, MaxMsgsPerSubject: 1,
		AllowRollup: true, AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerAge,
	}, collectingRecords)
	return &Table{opened}, err
}

func (t *Table) place(key string) place { return placeOf("table", t.id, key) }

// Get returns the value of a key. The error is ErrNotFound where there is none. With
// ErrDamaged the record has all but its value.
func (t *Table) Get(ctx context.Context, key string) (Record, error) {
	if err := checkKey(key); err != nil {
		return Record{}, err
	}
	m, err := t.last(ctx, t.subject(key))
	if err != nil {
		return Record{}, err
	}
	if gone(m) {
		return Record{}, ErrNotFound
	}
	return t.record(m)
}

func (t *Table) record(m *message) (Record, error) {
	key := t.key(m)
	value, err := t.s.keys.decrypt(nil, t.place(key), m.Data)
	return Record{Key: key, Value: value, Revision: m.Sequence, At: m.Time}, err
}

// Create stores a value for a key that has none; else it fails with ErrConflict. When
// it returns nil, the value is durable. A ttl of more than 0 forgets the value after
// that time, at least a second and cut to whole seconds.
func (t *Table) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	// There may be a marker of an earlier value, which may go meanwhile.
	var marker uint64
	for range 3 {
		revision, err = t.write(ctx, key, value, ttl, func(m *nats.Msg) { expecting(m, marker) })
		if !errors.Is(err, ErrConflict) {
			return revision, err
		}
		switch m, err := t.last(ctx, t.subject(key)); {
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
func (t *Table) Update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	return t.write(ctx, key, value, ttl, func(m *nats.Msg) { expecting(m, revision) })
}

// Put stores a value whatever there was. ttl is as in Create.
func (t *Table) Put(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	return t.write(ctx, key, value, ttl, func(*nats.Msg) {})
}

func (t *Table) write(ctx context.Context, key string, value []byte, ttl time.Duration, condition func(*nats.Msg)) (uint64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	m := nats.NewMsg(t.subject(key))
	m.Data = t.s.keys.encrypt(t.place(key), value)
	if ttl > 0 {
		m.Header.Set(jetstream.MsgTTLHeader, max(time.Second, ttl.Truncate(time.Second)).String())
	}
	condition(m)
	return t.writes.put(ctx, m)
}

// Delete erases a key and its value; it is no error if there is none. Watchers are
// told.
func (t *Table) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	m, err := t.last(ctx, t.subject(key))
	if errors.Is(err, ErrNotFound) || err == nil && gone(m) {
		return nil
	}
	if err != nil {
		return err
	}
	marker := nats.NewMsg(t.subject(key))
	marker.Header.Set(operationHeader, operationPurge)
	marker.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	_, err = t.s.publish(ctx, marker, jetstream.WithMsgTTL(markerAge))
	return err
}
