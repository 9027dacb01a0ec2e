//go:build unix

package socket

import "golang.org/x/sys/unix"

func look(fd uintptr) State {
	var one [1]byte
	for {
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return Quiet
		case err != nil || n == 0:
			return Closed
		}
		return Data
	}
}
