package socket

import "net"

// Conn is a TCP connection that is read and written without a word to the scheduler,
// where that is possible, and asked likewise.
//
// The scheduler is told of a system call because that may block. One on a socket of
// this process does not, but it takes long enough, with all that the kernel does for
// the receiver of what is sent, that the scheduler gives its turn to another thread,
// which has to be woken; and the thread that looks after that never rests. On a busy
// proxy this is a tenth of all its work.
//
// Unlike other connections, it is read by one goroutine at a time only, and so it is
// written. A Read or Write costs no allocation.
type Conn struct {
	*net.TCPConn
	direct
}

// NewConn returns a connection that takes the place of conn.
func NewConn(conn *net.TCPConn) *Conn {
	c := &Conn{TCPConn: conn}
	c.prepare(conn)
	return c
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.TCPConn }

// Wrap returns conn as a Conn, if it is a TCP connection.
func Wrap(conn net.Conn) net.Conn {
	if plain, ok := conn.(*net.TCPConn); ok {
		return NewConn(plain)
	}
	return conn
}
