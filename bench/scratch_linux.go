package main

import (
	"os"
	"syscall"
)

const (
	memoryFolder = "/dev/shm"

	mountNoExec = 0x8        // ST_NOEXEC
	tmpfsMagic  = 0x01021994 // TMPFS_MAGIC
)

// scratchParent returns a folder in memory where there is one, so that no disk
// is part of the comparison. Varnish loads compiled code from its folder and
// pollbridge is built into it: a file system that forbids that will not do.
func scratchParent() string {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryFolder, &fs); err != nil {
		return os.TempDir()
	}
	if int64(fs.Type) != tmpfsMagic || fs.Flags&mountNoExec != 0 {
		return os.TempDir()
	}
	return memoryFolder
}
