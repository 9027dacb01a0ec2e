package send

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"

	"pollbridge/internal/socket"
)

// conn is a connection to a receiver that knows what was sent on it.
type conn struct {
	net.Conn
	sent  atomic.Int64 // bytes
	begun atomic.Int64 // sent when the last request began
	spent atomic.Bool  // nothing may be sent any more
}

// below returns the conn that TLS runs over, or c itself.
func below(c net.Conn) *conn {
	for c := range socket.Down(c) {
		if found, ok := c.(*conn); ok {
			return found
		}
	}
	return nil
}

// begin is called before a request is sent. It returns how much was sent before. A
// connection for one request at a time must be quiet if it was idle: else it was closed, or
// has more than one answer to the last request.
func (c *conn) begin(oneAtATime, wasIdle bool) int64 {
	if state := socket.At(c.Conn); oneAtATime && wasIdle && (state == socket.Closed || state == socket.Data) {
		c.spent.Store(true)
	}
	sent := c.sent.Load()
	c.begun.Store(sent)
	return sent
}

// Write does not fail if the receiver closes the connection while a request is sent: it may
// have answered before that, and for net/http the error would count more. So the rest of
// the request goes nowhere, and what comes decides.
func (c *conn) Write(p []byte) (int, error) {
	if c.spent.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Write(p)
	if sent := c.sent.Add(int64(n)); sent > c.begun.Load() && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
		return len(p), nil
	}
	return n, err
}
