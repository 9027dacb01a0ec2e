package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// What the data directory holds.
const (
	lockName   = "lock"
	engineName = "engine"
	trialName  = "trial"
)

const roomToOpen = 64 << 10

// openDirectory makes the data directory if it is not there, and locks it. The caller
// must pass the returned file to leaveDirectory.
func openDirectory(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: make the data directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: the data directory %s cannot be written%s: %w", dir, owners(dir), err)
	}
	if err := lockFile(file); err != nil {
		file.Close()
		if errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("%w: %s", err, dir)
		}
		return nil, fmt.Errorf("store: lock the data directory %s: %w", dir, err)
	}
	if err := tryDirectory(dir, roomToOpen); err != nil {
		return nil, errors.Join(err, leaveDirectory(file))
	}
	return file, nil
}

// openMark is what the lock holds while the engine is open: a process that finds it there
// knows that the one before was killed.
const openMark = "open\n"

// howLeft reports whether the process that had the directory before did not close it, and
// whether the server's files are not as they were left then.
func howLeft(lock *os.File, engineDir string) (open, changed bool, err error) {
	info, err := lock.Stat()
	if err != nil {
		return false, false, fmt.Errorf("store: %w", err)
	}
	if info.Size() > 0 {
		return true, true, nil
	}
	files, err := storedFiles(engineDir)
	changed = slices.ContainsFunc(files, func(f storedFile) bool { return !f.written.Before(info.ModTime()) })
	return false, changed, err
}

func markOpen(lock *os.File) error {
	_, err := lock.WriteAt([]byte(openMark), 0)
	return err
}

// markClosed is called when the server has stopped. The lock is newer than all its files
// then.
func markClosed(lock *os.File) error {
	now := time.Now() // some file systems' own clocks are coarse
	return errors.Join(lock.Truncate(0), os.Chtimes(lock.Name(), now, now))
}

func leaveDirectory(lock *os.File) error { return errors.Join(unlockFile(lock), lock.Close()) }

// tryDirectory finds out whether the directory can be written and has room.
func tryDirectory(dir string, room int) error {
	path := filepath.Join(dir, trialName)
	defer os.Remove(path)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = file.Write(bytes.Repeat([]byte{1}, room))
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("store: the data directory %s cannot be written: %w", dir, err)
	}
	return nil
}

// Exists reports whether an engine ever ran in a directory.
func Exists(cfg Config) bool {
	empty, err := isEmpty(filepath.Join(cfg.Dir, engineName))
	return err != nil || !empty
}

// isEmpty reports whether a directory is empty or not there.
func isEmpty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return len(entries) == 0, err
}
