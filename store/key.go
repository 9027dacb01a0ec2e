package store

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pollbridge/internal/durable"
)

const keySize = 32

// keyName is the file with the key that is made in a data directory.
const keyName = "store.key"

// Key is what is stored encrypted with, and where it lies: one key that writes, and any number
// of earlier ones that read what they have written. Get one from LoadKey.
type Key struct {
	secrets [][]byte
	path    string
}

// LoadKey reads the key from cfg.EncryptionKeyFile or, if that is empty, from the data
// directory, where it makes one if nothing was ever stored there: empty says so. Nobody
// else may use the directory.
func LoadKey(cfg Config, dir string, empty bool) (Key, error) {
	if cfg.EncryptionKeyFile != "" {
		secrets, err := readKeys(cfg.EncryptionKeyFile)
		return Key{secrets, cfg.EncryptionKeyFile}, err
	}
	path := filepath.Join(dir, keyName)
	secrets, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		// A new key would make what is stored unreadable for good once it is taken for
		// the right one.
		if !empty {
			return Key{}, fmt.Errorf("%w: there is data in %s, but its key is not at %s: put that file back, or set encryption_key_file to where the key is", ErrDamaged, dir, path)
		}
		var secret []byte
		secret, err = makeKey(path)
		secrets = [][]byte{secret}
	}
	return Key{secrets, path}, err
}

// FindKey is LoadKey that makes no key: the error is fs.ErrNotExist where there is none.
func FindKey(cfg Config, dir string) (Key, error) {
	path := cfg.EncryptionKeyFile
	if path == "" {
		path = filepath.Join(dir, keyName)
	}
	secrets, err := readKeys(path)
	return Key{secrets, path}, err
}

// readKeys reads keys of 32 bytes: one as it is, or as text in hex or base64, of which each line
// holds one.
func readKeys(path string) (keys [][]byte, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("store: read the encryption key: %w", err)
	}
	if len(content) == keySize {
		return [][]byte{content}, nil
	}
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key := keyOf(line)
		if key == nil {
			keys = nil
			break
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("store: the encryption key in %s cannot be used: want %s", path, keyForms)
	}
	return keys, nil
}

const keyForms = "32 bytes, raw, or in hex or base64 (openssl rand -hex 32); as text several, one in a line, of which the first one encrypts"

// keyOf reads a key that is written as text; nil if it is none.
func keyOf(text string) []byte {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == keySize {
			return key
		}
	}
	return nil
}

// makeKey makes a key file that is there as a whole or not at all. There must be none.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key)
	if err := durable.WriteFile(path, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return nil, fmt.Errorf("store: make an encryption key: %w", err)
	}
	return key, nil
}
