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

// checkKey finds out whether what is stored was encrypted with one of the store's keys, and with
// which of them; where nothing is, with the first one.
func (s *Store) checkKey(ctx context.Context, key Key) (writer int, err error) {
	m, err := s.own.last(ctx, s.own.subject(checkRecord))
	if err == nil && len(m.Data) >= sealOverhead {
		writer = max(0, s.keys.writer(m.Data))
	}
	_, err = s.ownRecord(ctx, checkRecord, func() []byte { return []byte("pollbridge") })
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: it was encrypted with another key than that in %s: put the right key there", ErrDamaged, key.path)
	}
	return writer, err
}

// openIDs finds out what ids are derived from. At first that is the store's key, and so it was
// in earlier versions; it stays when the key changes. writer is the key that is known to have been
// the store's.
func (s *Store) openIDs(ctx context.Context, key Key, writer int) error {
	initial := derived(key.secrets[writer], "id", keySize)
	secret, err := s.ownRecord(ctx, idRecord, func() []byte { return initial })
	switch {
	case err == nil:
	case errors.Is(err, ErrDamaged), !s.shared && isUnreadable(err):
		s.log.Error("data is damaged: what ids are derived from cannot be read; it is taken from the last one of the keys, from which it was unless that has been removed", "error", err)
		secret = derived(key.secrets[len(key.secrets)-1], "id", keySize)
		if _, err := s.own.Put(ctx, idRecord, secret, 0); err != nil {
			return err
		}
	default:
		return err // a server may fail to answer for a moment
	}
	s.keys.id = newKeyedHash(secret)
	return nil
}

// isUnreadable reports whether an error is what the embedded server says of a message whose file
// is damaged.
func isUnreadable(err error) bool {
	return !errors.Is(err, ErrUnusable) && !errors.Is(err, ErrConflict) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// ownRecord returns a record that the store keeps about itself, which is made if there is none.
// Several processes may do that at a time.
func (s *Store) ownRecord(ctx context.Context, key string, initial func() []byte) ([]byte, error) {
	const attempts = 10
	for range attempts {
		record, err := s.own.Get(ctx, key)
		if !errors.Is(err, ErrNotFound) {
			return record.Value, err
		}
		value := initial()
		if _, err = s.own.Create(ctx, key, value, 0); !errors.Is(err, ErrConflict) {
			return value, err
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

// renewIfNeedBe encrypts anew what an earlier key has encrypted and what does not go by itself, so
// that the key is not needed any more after a while.
func (b *Bucket) renewIfNeedBe(ctx context.Context) error {
	if len(b.s.keys.seals) < 2 {
		return nil
	}
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
