package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash"
	"slices"
	"sync"
)

// keys are what the store's keys are used for.
type keys struct {
	seals []*sealKey // the first one writes, each reads what it has written
	id    *keyedHash // for ids, which stay when keys change: set when the store is opened
}

// sealKey encrypts what is stored.
type sealKey struct {
	seal *keyedHash
	name [4]byte // tells the key from others
}

func newKeys(secrets [][]byte) *keys {
	k := &keys{}
	for _, secret := range secrets {
		seal := &sealKey{seal: newKeyedHash(derived(secret, "seal", keySize))}
		copy(seal.name[:], derived(secret, "name", len(seal.name)))
		k.seals = append(k.seals, seal)
	}
	return k
}

// derived is what a key is used for, derived from it.
func derived(secret []byte, purpose string, size int) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "pollbridge "+purpose, size)
	if err != nil {
		panic(err) // the sizes are right
	}
	return key
}

// place says where a record belongs; no two places are encoded alike.
type place []byte

func placeOf(parts ...string) place {
	size := 0
	for _, part := range parts {
		size += binary.MaxVarintLen16 + len(part)
	}
	p := make(place, 0, size)
	for _, part := range parts {
		p = binary.AppendUvarint(p, uint64(len(part)))
		p = append(p, part...)
	}
	return p
}

// sealVersion is the first byte of all that is sealed.
const sealVersion = 1

// sealOverhead is how much longer a sealed value is.
const sealOverhead = 1 + 4 + 12 + 16

// aead returns the cipher of a place. Each has a key of its own, so the number of
// values that may be sealed with random nonces is one of each place, not of the
// store.
func (k *sealKey) aead(p place) cipher.AEAD {
	block, err := aes.NewCipher(k.keyOf(p))
	if err != nil {
		panic(err) // the size is right
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return gcm
}

// keyOf returns the key of a place, as HKDF expands it: one block of a hash is enough.
func (k *sealKey) keyOf(p place) []byte { return k.seal.sum(p, []byte{1}) }

func (k *sealKey) additional(p place) []byte {
	return append(append(make([]byte, 0, len(k.name)+len(p)), k.name[:]...), p...)
}

// encrypt returns value as it may be stored at a place.
func (k *keys) encrypt(p place, value []byte) []byte {
	first := k.seals[0]
	sealed := make([]byte, 0, len(value)+sealOverhead)
	sealed = append(sealed, sealVersion)
	sealed = append(sealed, first.name[:]...)
	return first.aead(p).Seal(sealed, nil, value, first.additional(p))
}

// decrypt appends to dst what was encrypted for a place. The error is ErrDamaged.
func (k *keys) decrypt(dst []byte, p place, sealed []byte) ([]byte, error) {
	if len(sealed) < sealOverhead || sealed[0] != sealVersion {
		return nil, ErrDamaged
	}
	i := k.writer(sealed)
	if i < 0 {
		return nil, ErrDamaged
	}
	value, err := k.seals[i].aead(p).Open(dst, nil, sealed[5:], k.seals[i].additional(p))
	if err != nil {
		return nil, ErrDamaged
	}
	return value, nil
}

// writer is which of the keys has encrypted a value; -1: none of them.
func (k *keys) writer(sealed []byte) int {
	return slices.IndexFunc(k.seals, func(each *sealKey) bool { return string(sealed[1:5]) == string(each.name[:]) })
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const idLength = 26

// hash derives 26 characters from parts.
func (k *keys) hash(parts ...string) string {
	return idEncoding.EncodeToString(k.id.sum(placeOf(parts...)))[:idLength]
}

// keyedHash hashes with a key: HMAC-SHA256. Every record that is read needs one, of a
// few bytes, and setting it up costs more than that: it is used again. It is safe for
// concurrent use.
type keyedHash struct{ idle sync.Pool } // of hash.Hash, ready for the next

func newKeyedHash(key []byte) *keyedHash {
	return &keyedHash{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sum returns the hash of parts, one right after the other.
func (h *keyedHash) sum(parts ...[]byte) []byte {
	mac := h.idle.Get().(hash.Hash)
	for _, part := range parts {
		mac.Write(part)
	}
	sum := mac.Sum(make([]byte, 0, sha256.Size))
	mac.Reset()
	h.idle.Put(mac)
	return sum
}
