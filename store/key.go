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

// loadKey reads the store's key, or makes one in the data directory if nothing was
// ever stored there. It also returns the path of the file that holds it. The data
// directory must be locked.
func loadKey(cfg Config) (key []byte, path string, err error) {
	if cfg.EncryptionKeyFile != "" {
		key, err := readKey(cfg.EncryptionKeyFile)
		return key, cfg.EncryptionKeyFile, err
	}
	path = filepath.Join(cfg.Dir, keyName)
	key, err = readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, path, err
	}
	// A new key would make what is stored unreadable for good once it is taken for
	// the right one.
	empty, err := isEmpty(filepath.Join(cfg.Dir, engineName))
	if err != nil {
		return nil, path, fmt.Errorf("store: read the data directory: %w", err)
	}
	if !empty {
		return nil, path, fmt.Errorf("%w: there is data in %s, but its key is not at %s: put that file back, or set encryption_key_file to where the key is", ErrDamaged, cfg.Dir, path)
	}
	key, err = makeKey(path)
	return key, path, err
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
