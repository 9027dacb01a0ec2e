// Package socket tells whether the other side of a connection has hung up or has sent
// something, without reading a byte of it, and what a connection runs over.
package socket

import (
	"iter"
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
	for below := range Down(conn) {
		conn = below
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

// Down yields conn and then each connection that it runs over, the lowest last: below TLS,
// below what a listener wraps around it, and below what a handler of fasthttp has hijacked.
func Down(conn net.Conn) iter.Seq[net.Conn] {
	return func(yield func(net.Conn) bool) {
		for yield(conn) {
			switch c := conn.(type) {
			case interface{ NetConn() net.Conn }:
				conn = c.NetConn()
			case interface{ UnsafeConn() net.Conn }:
				conn = c.UnsafeConn()
			default:
				return
			}
		}
	}
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
