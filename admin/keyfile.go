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
)

// keyFile is the name of the file that holds the key where none is configured.
const keyFile = "admin.key"

// KeyFile returns the key in dir/admin.key and makes it, and dir, if they are not
// there; made says so. A file that it made is whole and on disk: a crash leaves either
// that or none. Errors name the path and hold no part of the key.
func KeyFile(dir string) (key, path string, made bool, err error) {
	path = filepath.Join(dir, keyFile)
	key, err = readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, path, false, err
	}
	key, err = makeKey(dir, path)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		key, err = readKey(path)
		return key, path, false, err
	}
	return key, path, err == nil, err
}

func readKey(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("admin key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if len(key) < MinKeyLength || !isToken(key) {
		return "", fmt.Errorf("admin key: %s: want one line of at least %d visible ASCII characters; remove the file and a new key will be made",
			path, MinKeyLength)
	}
	return key, nil
}

// makeKey writes beside the file first, and then links it into its place, which fails
// if there is one.
func makeKey(dir, path string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("admin key: %w", err)
	}
	var random [32]byte
	rand.Read(random[:]) // never fails
	key := "pbk_" + base64.RawURLEncoding.EncodeToString(random[:])
	temporary, err := os.CreateTemp(dir, keyFile+".*") // 0600
	if err != nil {
		return "", fmt.Errorf("admin key: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.WriteString(key + "\n")
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Link(temporary.Name(), path)
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) { // no links in this file system
		err = os.Rename(temporary.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return "", fmt.Errorf("admin key: %w", err)
	}
	return key, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
