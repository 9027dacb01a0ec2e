package watch

import (
	"context"
	"strconv"
	"strings"
	"time"

	"pollbridge/store"
)

// records are the records of sessions, each under its session's id. In a fleet a key begins with
// the session's slot, so that those of a slot can be found.
type records struct {
	*store.Bucket
	share Share // nil: there is no fleet
}

func (r records) key(id string) string {
	if r.share == nil {
		return id
	}
	return strconv.Itoa(r.share.Slot(id)) + "." + id
}

// named has a session's id in the place of the key.
func (r records) named(row store.Record) store.Record {
	row.Key = row.Key[strings.LastIndexByte(row.Key, '.')+1:]
	return row
}

func (r records) allNamed(rows []store.Record) []store.Record {
	for i := range rows {
		rows[i] = r.named(rows[i])
	}
	return rows
}

func (r records) Get(ctx context.Context, id string) (store.Record, error) {
	return r.GetSince(ctx, id, 0)
}

// GetSince is [store.Bucket.GetSince].
func (r records) GetSince(ctx context.Context, id string, revision uint64) (store.Record, error) {
	row, err := r.Bucket.GetSince(ctx, r.key(id), revision)
	return r.named(row), err
}

func (r records) Create(ctx context.Context, id string, value []byte, ttl time.Duration) (uint64, error) {
	return r.Bucket.Create(ctx, r.key(id), value, ttl)
}

func (r records) Update(ctx context.Context, id string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	return r.Bucket.Update(ctx, r.key(id), value, revision, ttl)
}

func (r records) Put(ctx context.Context, id string, value []byte, ttl time.Duration) (uint64, error) {
	return r.Bucket.Put(ctx, r.key(id), value, ttl)
}

func (r records) Delete(ctx context.Context, id string) error { return r.Bucket.Delete(ctx, r.key(id)) }

// List is [store.Bucket.List] of all.
func (r records) List(ctx context.Context, before uint64, limit int) ([]store.Record, error) {
	rows, err := r.Bucket.List(ctx, ">", before, limit)
	return r.allNamed(rows), err
}

// Each is [store.Bucket.Each] of those of some slots, or of all.
func (r records) Each(ctx context.Context, slots []Slot, f func([]store.Record)) error {
	var matches []string
	for _, slot := range slots {
		matches = append(matches, strconv.Itoa(slot.Number)+".*")
	}
	return r.Bucket.Each(ctx, func(rows []store.Record) { f(r.allNamed(rows)) }, matches...)
}
