//go:build unix

package store

import (
	"fmt"
	"os"
	"syscall"
)

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
