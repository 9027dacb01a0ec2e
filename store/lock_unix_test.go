//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package store_test

import (
	"syscall"
	"testing"
)

// TestLockGoesWithTheStore, also while a process that is being started has inherited
// the file.
func TestLockGoesWithTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, shut := open(t, config(dir))
	inherited := must(syscall.Dup(int(s.Lock().Fd())))(t)
	defer syscall.Close(inherited)
	shut()
	open(t, config(dir))
}
