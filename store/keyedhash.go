package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// keyedHash hashes with a key: HMAC-SHA256. Every record that is read needs one, of a
// few bytes, and setting it up costs more than that: it is used again. It is safe for
// concurrent use.
type keyedHash struct {
	key  []byte
	idle sync.Pool // of hash.Hash, ready for the next
}

func newKeyedHash(key []byte) *keyedHash { return &keyedHash{key: key} }

// sum returns the hash of parts, one right after the other.
func (h *keyedHash) sum(parts ...[]byte) []byte {
	mac, ok := h.idle.Get().(hash.Hash)
	if !ok {
		mac = hmac.New(sha256.New, h.key)
	}
	for _, part := range parts {
		mac.Write(part)
	}
	sum := mac.Sum(make([]byte, 0, sha256.Size))
	mac.Reset()
	h.idle.Put(mac)
	return sum
}
