package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File records a mistake unless a file can be read at path, and reports whether it can.
func (m *Mistakes) File(key, path string) bool {
	reason := unreadable(path)
	m.Want(reason == nil, key, path, fmt.Sprintf("a file that can be read, but: %v", reason))
	return reason == nil
}

// SecretFile is [Mistakes.File] for a file that holds a secret: path is not shown, for
// somebody may have written the secret itself there.
func (m *Mistakes) SecretFile(key, path string) bool {
	reason := unreadable(path)
	if reason != nil {
		m.Add(key, "want the path of a file that can be read, but: "+reason.Error()+" (the value is not shown)")
	}
	return reason == nil
}

func unreadable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return Reason(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return errors.New("it is a directory")
	}
	return nil
}

// Reason is why an operation on a file failed, without repeating the path.
func Reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
