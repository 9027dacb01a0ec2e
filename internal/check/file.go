package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File records a mistake unless a file can be read at path.
func (m *Mistakes) File(key, path string) {
	f, err := os.Open(path)
	if err != nil {
		m.Want(false, key, path, fmt.Sprintf("a file that can be read, but: %v", Reason(err)))
		return
	}
	defer f.Close()
	info, err := f.Stat()
	m.Want(err == nil && !info.IsDir(), key, path, "a file, not a directory")
}

// Reason is why an operation on a file failed, without repeating the path.
func Reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
