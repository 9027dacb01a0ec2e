//go:build !linux

package store_test

import (
	"errors"
	"testing"
)

func small(t *testing.T) (dir string) {
	t.Helper()
	t.Skip("a file system of its own can be mounted on Linux only")
	return ""
}

func makeReadOnly(string) error { return errors.ErrUnsupported }
