package upstream

import (
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pollbridge/internal/socket"
)

// forwardConn is an HTTP/1 connection for what passes through.
//
// net/http notices what comes on an idle connection, but not if the next request is
// quicker to take the connection than it is to look; then a surplus of one answer would
// be the answer to the next request, which may be somebody else's.
type forwardConn struct {
	net.Conn
	socket  *socket.Socket
	reading atomic.Bool // all that has come was taken, and more is waited for
	closed  atomic.Bool
	wrote   atomic.Bool // something of the request

	mu   sync.Mutex
	head headCheck // guarded by mu
}

func speaksHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// begin reports whether a request may be sent on the connection.
func (c *forwardConn) begin(reused bool) bool {
	c.wrote.Store(false)
	c.mu.Lock()
	c.head.reset()
	c.mu.Unlock()
	return !reused || c.isIdle()
}

// isIdle waits for net/http to be done with the last answer, which takes it a moment.
func (c *forwardConn) isIdle() bool {
	const yields, pause, most = 100, 100 * time.Microsecond, 100 * time.Millisecond
	start := time.Now()
	for i := 0; time.Since(start) < most; i++ {
		switch {
		case c.closed.Load():
			return false
		case c.reading.Load():
			return isQuiet(c.socket)
		case i < yields:
			runtime.Gosched()
		default:
			time.Sleep(pause)
		}
	}
	return false
}

func (c *forwardConn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	n, err := c.Conn.Read(p)
	c.reading.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.head.read(p[:n]); err != nil {
		return 0, err
	}
	return n, err
}

// framing is what was wrong with the head of the answer. No connection has nil.
func (c *forwardConn) framing() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head.err
}

// Write does not fail if the upstream has closed the connection while a request is sent.
// It may have answered before that, and for net/http the error would count more; so the
// rest of the request goes nowhere, and what comes decides.
func (c *forwardConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.wrote.Store(true)
	}
	if c.wrote.Load() && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
		return len(p), nil
	}
	return n, err
}

func (c *forwardConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}
