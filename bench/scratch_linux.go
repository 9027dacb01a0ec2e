package main

import (
	"os"

	"golang.org/x/sys/unix"
)

const memoryFolder = "/dev/shm"

// scratchParent returns a folder in memory where there is one, so that no disk
// is part of the comparison. Varnish loads compiled code from its folder and
// pollbridge is built into it: a file system that forbids that will not do.
func scratchParent() string {
	var fs unix.Statfs_t
	if err := unix.Statfs(memoryFolder, &fs); err != nil {
		return os.TempDir()
	}
	if int64(fs.Type) != unix.TMPFS_MAGIC || fs.Flags&unix.ST_NOEXEC != 0 {
		return os.TempDir()
	}
	return memoryFolder
}
