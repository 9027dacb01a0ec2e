// Package peek tells whether the other side of a connection has hung up or has
// sent something, without reading a byte of it.
package peek

import (
	"net"
	"syscall"
)

// State is what a connection looks like from here.
type State uint8

// Unknown is the answer for connections that have no socket to look at.
const (
	Unknown State = iota
	Quiet         // open, and nothing to read
	Data          // something is there to be read
	Closed        // the other side has closed its half, or reset the connection
)

// At looks at conn, or below it at the connection that a TLS connection runs over.
// It does not block and takes nothing: what is there can be read as if nobody had
// looked. Half-closed connections count as Closed.
func At(conn net.Conn) State {
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return Unknown
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return Closed
	}
	state := Unknown
	if err := raw.Control(func(fd uintptr) { state = look(fd) }); err != nil {
		return Closed
	}
	return state
}
