//go:build !linux

package store_test

import "testing"

func small(t *testing.T) (dir string) {
	t.Helper()
	t.Skip("a file system of its own can be mounted on Linux only")
	return ""
}
