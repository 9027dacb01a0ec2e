package upstream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pollbridge/internal/socket"
)

// forwardConn is an HTTP/1 connection for what passes through.
//
// net/http reads on after an answer, and closes a connection on which more comes. But if
// the next request is quicker to take the connection than that, a surplus of one answer
// is the answer to the next request, which may be somebody else's.
type forwardConn struct {
	net.Conn
	socket *socket.Socket

	asked atomic.Bool // whether the connection is idle
	idle  chan bool   // the answer to that; no, once it was closed

	mu   sync.Mutex
	head headCheck   // guarded by mu
	fail func(error) // ends the exchange; guarded by mu
}

func newForwardConn(conn net.Conn) *forwardConn {
	return &forwardConn{Conn: conn, socket: socket.Of(conn), idle: make(chan bool, 1), fail: func(error) {}}
}

func speaksHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// begin reports whether a request may be sent on the connection. fail ends its exchange.
func (c *forwardConn) begin(reused bool, fail func(error)) bool {
	c.mu.Lock()
	c.head = headCheck{}
	c.fail = fail
	c.mu.Unlock()
	return !reused || c.isIdle()
}

// isIdle reports whether the connection is open and nothing has come since the last
// answer. To be sure it interrupts whoever reads on, or is about to: then all that came
// has been read, or can be seen in the socket.
func (c *forwardConn) isIdle() bool {
	c.asked.Store(true)
	return c.SetReadDeadline(longAgo) == nil && <-c.idle
}

func (c *forwardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for errors.Is(err, os.ErrDeadlineExceeded) && c.asked.CompareAndSwap(true, false) {
		c.answer(c.SetReadDeadline(time.Time{}) == nil && isQuiet(c.socket))
		n, err = c.Conn.Read(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.head.read(p[:n]); err != nil {
		c.fail(brokenExchange(err)) // net/http would name another error
		return 0, err
	}
	return n, err
}

// Write does not fail if the upstream has closed the connection while a request is sent.
// It may have answered before that, and for net/http the error would count more; so the
// rest of the request goes nowhere, and what comes decides.
func (c *forwardConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return len(p), nil
	}
	return n, err
}

func (c *forwardConn) Close() error {
	c.answer(false)
	return c.Conn.Close()
}

// answer does not wait: of two answers the first counts, and the other is that the
// connection was closed meanwhile.
func (c *forwardConn) answer(idle bool) {
	select {
	case c.idle <- idle:
	default:
	}
}
