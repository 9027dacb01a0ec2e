// Package socket tells whether the other side of a connection has hung up or has sent
// something, without reading a byte of it.
package socket

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
func At(conn net.Conn) State { return Of(conn).Look() }

// Socket is a connection that is looked at again and again. It is not safe for
// concurrent use.
type Socket struct {
	raw   syscall.RawConn // nil if there is none
	state State
}

// Of finds the socket of conn, see At.
func Of(conn net.Conn) *Socket {
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return &Socket{state: Unknown}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return &Socket{state: Closed}
	}
	return &Socket{raw: raw}
}

// Look does what At does.
func (s *Socket) Look() State {
	if s.raw == nil {
		return s.state
	}
	if err := s.raw.Control(func(fd uintptr) { s.state = look(fd) }); err != nil {
		return Closed
	}
	return s.state
}
