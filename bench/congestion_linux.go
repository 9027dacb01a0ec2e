package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// congestionControl names how TCP paces itself on loopback. It is asked of a
// connection, as a route may have another one than the system.
func congestionControl() string {
	name := "unknown"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return name
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return name
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return name
	}
	_ = raw.Control(func(fd uintptr) {
		if s, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION); err == nil {
			name = s
		}
	})
	return name
}
