package send

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// conn is a connection to a receiver that knows what was sent on it.
type conn struct {
	net.Conn
	sent  atomic.Int64 // bytes
	begun atomic.Int64 // sent when the last request began
}

// below returns the conn that TLS runs over, or c itself.
func below(c net.Conn) *conn {
	for {
		if found, ok := c.(*conn); ok {
			return found
		}
		wrapped, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = wrapped.NetConn()
	}
}

// begin is called before a request is sent. It returns how much was sent before.
func (c *conn) begin() int64 {
	sent := c.sent.Load()
	c.begun.Store(sent)
	return sent
}

// Write does not fail if the receiver closes the connection while a request is sent: it may
// have answered before that, and for net/http the error would count more. So the rest of
// the request goes nowhere, and what comes decides.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if sent := c.sent.Add(int64(n)); sent > c.begun.Load() && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
		return len(p), nil
	}
	return n, err
}
