//go:build unix && !(linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x))

package socket

import (
	"errors"

	"golang.org/x/sys/unix"
)

func look(fd uintptr) State {
	var one [1]byte
	for {
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return Quiet
		case err != nil || n == 0:
			return Closed
		}
		return Data
	}
}
