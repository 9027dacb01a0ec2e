package store

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pollbridge/internal/durable"
)

const keySize = 32

// keyName is the file with the key that is made in a data directory.
const keyName = "store.key"

// Key is what is stored encrypted with, and where it lies. Get one from LoadKey.
type Key struct {
	secret []byte
	path   string
}

// LoadKey reads the key from cfg.EncryptionKeyFile or, if that is empty, from the data
// directory, where it makes one if nothing was ever stored there: empty says so. Nobody
// else may use the directory.
func LoadKey(cfg Config, dir string, empty bool) (Key, error) {
	if cfg.EncryptionKeyFile != "" {
		secret, err := readKey(cfg.EncryptionKeyFile)
		return Key{secret, cfg.EncryptionKeyFile}, err
	}
	path := filepath.Join(dir, keyName)
	secret, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		// A new key would make what is stored unreadable for good once it is taken for
		// the right one.
		if !empty {
			return Key{}, fmt.Errorf("%w: there is data in %s, but its key is not at %s: put that file back, or set encryption_key_file to where the key is", ErrDamaged, dir, path)
		}
		secret, err = makeKey(path)
	}
	return Key{secret, path}, err
}

// readKey reads a key of 32 bytes: as they are, or as text in hex or base64.
func readKey(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("store: read the encryption key: %w", err)
	}
	if len(content) == keySize {
		return content, nil
	}
	text := string(bytes.TrimSpace(content))
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == keySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("store: the encryption key in %s cannot be used: want 32 bytes, raw, in hex or in base64 (openssl rand -hex 32)", path)
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
