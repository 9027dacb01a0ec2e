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
	"sync"
)

// keys are what the store's key is used for, each derived from it.
type keys struct {
	seal *keyedHash
	id   *keyedHash
	name [4]byte // tells the store's key from others
}

func newKeys(secret []byte) *keys {
	derive := func(purpose string, size int) []byte {
		key, err := hkdf.Key(sha256.New, secret, nil, "pollbridge "+purpose, size)
		if err != nil {
			panic(err) // the sizes are right
		}
		return key
	}
	k := &keys{seal: newKeyedHash(derive("seal", keySize)), id: newKeyedHash(derive("id", keySize))}
	copy(k.name[:], derive("name", len(k.name)))
	return k
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
func (k *keys) aead(p place) cipher.AEAD {
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
func (k *keys) keyOf(p place) []byte { return k.seal.sum(p, []byte{1}) }

func (k *keys) additional(p place) []byte {
	return append(append(make([]byte, 0, len(k.name)+len(p)), k.name[:]...), p...)
}

// encrypt returns value as it may be stored at a place.
func (k *keys) encrypt(p place, value []byte) []byte {
	sealed := make([]byte, 0, len(value)+sealOverhead)
	sealed = append(sealed, sealVersion)
	sealed = append(sealed, k.name[:]...)
	return k.aead(p).Seal(sealed, nil, value, k.additional(p))
}

// decrypt appends to dst what was encrypted for a place. The error is ErrDamaged.
func (k *keys) decrypt(dst []byte, p place, sealed []byte) ([]byte, error) {
	if len(sealed) < sealOverhead || sealed[0] != sealVersion || string(sealed[1:5]) != string(k.name[:]) {
		return nil, ErrDamaged
	}
	value, err := k.aead(p).Open(dst, nil, sealed[5:], k.additional(p))
	if err != nil {
		return nil, ErrDamaged
	}
	return value, nil
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
