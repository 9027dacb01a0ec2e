package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

func unpace(listener *net.TCPListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno") // there is always that
	}); err != nil {
		return err
	}
	return failed
}
