//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package engine_test

import (
	"syscall"
	"testing"

	"pollbridge/internal/testkit"
)

// TestLockGoesWithTheEngine, also while a process that is being started has inherited
// the file.
func TestLockGoesWithTheEngine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, shut := open(t, dir)
	inherited, err := syscall.Dup(int(e.Lock().Fd()))
	testkit.NoError(t, err)
	defer syscall.Close(inherited)
	shut()
	open(t, dir)
}
