// Package socket is for what the connections of package net keep to themselves. It
// tells whether the other side has hung up or has sent something, without reading a
// byte of it; it asks questions on connections on which neither is so; and it reads
// and writes at the price of the system calls alone.
package socket

import (
	"errors"
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
	look  func(fd uintptr)
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
	s := &Socket{state: Closed}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		s.state = Unknown
		return s
	}
	if raw, err := socket.SyscallConn(); err == nil {
		s.raw = raw
	}
	s.look = func(fd uintptr) { s.state = look(fd) }
	return s
}

// Look does what At does, and allocates nothing.
func (s *Socket) Look() State {
	if s.raw == nil {
		return s.state
	}
	if err := s.raw.Control(s.look); err != nil {
		return Closed
	}
	return s.state
}

// ErrNotQuiet is the error of questions that were not asked, because the other side
// has hung up or has sent something before.
var ErrNotQuiet = errors.New("the connection is not quiet")
