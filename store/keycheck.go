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
	record, err := s.ownRecord(ctx, checkRecord, []byte("pollbridge"))
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: it was encrypted with another key than that in %s: put the right key there", ErrDamaged, key.path)
	}
	return record.writer, err
}

// openIDs finds out what ids are derived from. At first that is the store's key, and so it was
// in earlier versions; it stays when the key changes. writer is the key that is known to have been
// the store's.
func (s *Store) openIDs(ctx context.Context, key Key, writer int) error {
	initial := derived(key.secrets[writer], "id", keySize)
	record, err := s.ownRecord(ctx, idRecord, initial)
	secret := record.Value
	switch {
	case err == nil:
	case s.isUnreadable(err):
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

// isUnreadable reports whether an error says that a record is damaged. The embedded server has many
// such errors; of servers elsewhere any may only say that they did not answer for a moment.
func (s *Store) isUnreadable(err error) bool {
	if err == nil || s.shared || errors.Is(err, ErrDamaged) {
		return errors.Is(err, ErrDamaged)
	}
	return !errors.Is(err, ErrUnusable) && !errors.Is(err, ErrConflict) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// ownRecord returns a record that the store keeps about itself, which is made if there is none.
// Several processes may do that at a time.
func (s *Store) ownRecord(ctx context.Context, key string, initial []byte) (Record, error) {
	const attempts = 10
	for range attempts {
		record, err := s.own.Get(ctx, key)
		if !errors.Is(err, ErrNotFound) {
			return record, err
		}
		if _, err = s.own.Create(ctx, key, initial, 0); !errors.Is(err, ErrConflict) {
			return Record{Value: initial}, err
		}
	}
	return Record{}, ErrConflict
}

// EncryptAnew encrypts, with the first key, what an earlier one has encrypted and what does not go by itself. Where several
// processes share the store nothing is before it is called: first it has to be known that all of them have that key. A store
// of one process does so by itself.
func (s *Store) EncryptAnew(ctx context.Context) error {
	s.anewMu.Lock()
	buckets := s.old
	s.old, s.anew = nil, true
	s.anewMu.Unlock()
	for _, b := range buckets {
		if err := b.encryptAnewIfNeedBe(ctx); err != nil {
			return err
		}
	}
	return nil
}

// encryptAnewInTime is encryptAnewIfNeedBe, now or when EncryptAnew is called.
func (b *Bucket) encryptAnewInTime(ctx context.Context) error {
	b.s.anewMu.Lock()
	later := b.s.shared && !b.s.anew
	if later {
		b.s.old = append(b.s.old, b)
	}
	b.s.anewMu.Unlock()
	if later {
		return nil
	}
	return b.encryptAnewIfNeedBe(ctx)
}

// encryptAnewIfNeedBe encrypts anew what an earlier key has encrypted and what does not go by itself, so
// that the key is not needed any more after a while.
func (b *Bucket) encryptAnewIfNeedBe(ctx context.Context) error {
	if len(b.s.keys.seals) < 2 {
		return nil
	}
	var mu sync.Mutex
	var old []Record
	err := b.Each(ctx, func(some []Record) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range some {
			if r.writer > 0 && r.Expires.IsZero() {
				old = append(old, r)
			}
		}
	})
	for _, r := range old {
		if _, err := b.Update(ctx, r.Key, r.Value, r.Revision, 0); err != nil && !errors.Is(err, ErrConflict) { // then it is newer
			return err
		}
	}
	return err
}
