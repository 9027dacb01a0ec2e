package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// What the store keeps about its keys.
const (
	checkRecord = "check" // it can be decrypted with the right key only
	idRecord    = "id"    // what ids are derived from
)

// checkKey finds out whether what is stored was encrypted with one of the store's keys.
func (s *Store) checkKey(ctx context.Context, key Key) error {
	_, err := s.ownRecord(ctx, checkRecord, func() []byte { return []byte("pollbridge") })
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: it was encrypted with another key than that in %s: put the right key there", ErrDamaged, key.path)
	}
	return err
}

// openIDs finds out what ids are derived from. At first that is the store's key, and so it was
// in earlier versions; it stays when the key changes.
func (s *Store) openIDs(ctx context.Context, key Key) error {
	initial := derived(key.secrets[len(key.secrets)-1], "id", keySize)
	secret, err := s.ownRecord(ctx, idRecord, func() []byte { return initial })
	switch {
	case err == nil:
	case errors.Is(err, ErrUnusable), ctx.Err() != nil, s.shared && !errors.Is(err, ErrDamaged):
		return err // servers that many share may fail to answer for a moment, with whatever error
	default:
		s.log.Error("data is damaged: what ids are derived from cannot be read; it is taken from the last one of the keys, from which it was unless that has been removed", "error", err)
		if _, err := s.own.Put(ctx, idRecord, initial, 0); err != nil {
			return err
		}
		secret = initial
	}
	s.keys.id = newKeyedHash(secret)
	return nil
}

// ownRecord returns a record that the store keeps about itself, which is made if there is none,
// and encrypted anew if an earlier key has encrypted it. Several processes may do that at a time.
func (s *Store) ownRecord(ctx context.Context, key string, initial func() []byte) ([]byte, error) {
	const attempts = 10
	for range attempts {
		record, err := s.own.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			value := initial()
			if _, err = s.own.Create(ctx, key, value, 0); err == nil {
				return value, nil
			}
		} else if err == nil {
			err = s.own.renew(ctx, record)
		}
		if !errors.Is(err, ErrConflict) {
			return record.Value, err
		}
	}
	return nil, ErrConflict
}

// renew encrypts a record anew where an earlier key has done so.
func (b *Bucket) renew(ctx context.Context, r Record) error {
	if !r.earlierKey {
		return nil
	}
	_, err := b.Update(ctx, r.Key, r.Value, r.Revision, 0)
	return err
}

// renewAll encrypts anew what an earlier key has encrypted and what does not go by itself, so that
// the key is not needed any more after a while.
func (b *Bucket) renewAll(ctx context.Context) error {
	var mu sync.Mutex
	var old []Record
	err := b.Each(ctx, func(some []Record) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range some {
			if r.earlierKey {
				old = append(old, r)
			}
		}
	})
	for _, r := range old {
		if err := b.renew(ctx, r); err != nil && !errors.Is(err, ErrConflict) { // then it is newer
			return err
		}
	}
	return err
}
