package admin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pollbridge/internal/durable"
)

// keyFile is the name of the file that holds the key where none is configured.
const keyFile = "admin.key"

// KeyFile returns the key in dir/admin.key and makes it if it is not there; made says so.
// A file that it made is whole and on disk: a crash leaves either that or none. dir is the
// caller's alone, as package store locks it. Errors name the path and hold no part of the
// key.
func KeyFile(dir string) (key, path string, made bool, err error) {
	path = filepath.Join(dir, keyFile)
	key, err = readKey(path)
	if made = errors.Is(err, fs.ErrNotExist); made {
		key, err = makeKey(path)
	}
	if err != nil {
		return "", path, false, fmt.Errorf("admin key: %w", err)
	}
	return key, path, made, nil
}

func readKey(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(text))
	if len(key) < MinKeyLength || !isToken(key) {
		return "", fmt.Errorf("%s: want one line of at least %d visible ASCII characters; remove the file and a new key will be made",
			path, MinKeyLength)
	}
	return key, nil
}

func makeKey(path string) (string, error) {
	var random [32]byte
	rand.Read(random[:]) // never fails
	key := "pbk_" + base64.RawURLEncoding.EncodeToString(random[:])
	return key, durable.WriteFile(path, []byte(key+"\n"))
}
