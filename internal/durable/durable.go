// Package durable writes files that must not be lost.
package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile writes a file that only its owner may read. Once it has returned nil, the
// file survives a loss of power; after a crash at any moment it is there as a whole, or
// as it was before. Nobody else may write the file at the same time.
func WriteFile(path string, content []byte) error {
	return Write(path, func(out io.Writer) error {
		_, err := out.Write(content)
		return err
	})
}

// Write is WriteFile of what write writes. After an error of that the file is as it was.
func Write(path string, write func(io.Writer) error) error {
	temporary := path + ".new"
	defer os.Remove(temporary)
	os.Remove(temporary) // of a crash
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(temporary, path); err != nil || runtime.GOOS == "windows" { // where a directory cannot be synced
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
