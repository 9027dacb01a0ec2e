package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"hash"
	"sync"
)

// keys are what the store's key is used for, each derived from it.
type keys struct {
	seal *mac // of places, gives their keys
	id   *mac
	name [4]byte // tells the store's key from others
}

func newKeys(secret []byte) (*keys, error) {
	derive := func(purpose string, size int) []byte {
		// The error is for sizes that are out of reach only.
		key, _ := hkdf.Key(sha256.New, secret, nil, "pollbridge "+purpose, size)
		return key
	}
	seal, id := derive("seal", keySize), derive("id", keySize)
	k := &keys{seal: newMAC(seal), id: newMAC(id)}
	if copy(k.name[:], derive("name", len(k.name))) != len(k.name) || len(seal) != keySize || len(id) != keySize {
		return nil, errors.New("store: the encryption key cannot be used")
	}
	return k, nil
}

// mac is HMAC-SHA-256 with one key. Beginning with a key is half of the work for
// something short, so what has begun is used again.
type mac struct{ begun sync.Pool }

func newMAC(key []byte) *mac {
	return &mac{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sum appends the code of parts, as if they were one.
func (m *mac) sum(dst []byte, parts ...[]byte) []byte {
	h := m.begun.Get().(hash.Hash)
	defer m.begun.Put(h)
	h.Reset()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(dst)
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
	var key [keySize]byte
	block, err := aes.NewCipher(k.placeKey(key[:0], p))
	if err != nil {
		panic(err) // the size is right
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return gcm
}

// placeKey appends the key of a place: HKDF-Expand of RFC 5869, whose first block is
// long enough.
func (k *keys) placeKey(dst []byte, p place) []byte { return k.seal.sum(dst, p, []byte{1}) }

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
	var sum [sha256.Size]byte
	var text [(sha256.Size*8 + 4) / 5]byte
	idEncoding.Encode(text[:], k.id.sum(sum[:0], placeOf(parts...)))
	return string(text[:idLength])
}
