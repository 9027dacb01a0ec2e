//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package engine

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile locks a file for this process. The lock goes with the process, however it
// ends.
func lockFile(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// unlockFile gives the lock back. Closing the file does not while a process that is
// being started has inherited it, for the moment until that runs its own program.
func unlockFile(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }

// owners says whom a directory belongs to, if that is somebody else than who runs this
// process: most often it is a container's volume that was made for another user.
func owners(dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return ""
	}
	return fmt.Sprintf(" (it belongs to uid %d, and this process runs as uid %d: chown it)", stat.Uid, os.Geteuid())
}
