package upstream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"pollbridge/internal/socket"

	"github.com/valyala/fasthttp"
)

// errStale is what using a connection gives that the upstream has closed, or
// filled with bytes nobody asked for, while it was idle. Nothing was sent then.
var errStale = errors.New("the idle connection was no longer usable")

// bodyLimit bounds a whole answer, in units of the timeout for its first byte: as
// long as bytes keep coming, a large document on a slow line may take longer than
// the timeout, but not for ever.
const bodyLimit = 6

// pollConn is a connection for polls. It belongs to one request at a time.
//
// fasthttp knows one deadline for a whole exchange; this connection turns it into
// one for silence. And fasthttp does not look at idle connections: an answer that
// was longer than it said would be taken for the answer to the next request, which
// may be somebody else's.
type pollConn struct {
	net.Conn
	socket    *socket.Socket
	head      headCheck
	silence   time.Duration // that ends an exchange; set by SetReadDeadline
	end       time.Time     // of the exchange
	exchanges int           // requests that were written
	reading   bool          // since the last write something was read
}

func (c *pollConn) Write(p []byte) (int, error) {
	if c.exchanges == 0 || c.reading {
		if c.reading && !quiet(c.Conn, c.socket) {
			return 0, errStale
		}
		c.exchanges++
		c.reading = false
		c.head = headCheck{}
	}
	return c.Conn.Write(p)
}

// SetReadDeadline is called by fasthttp once an exchange, after the request was
// written. The deadline holds for the first byte; each further read has as long.
func (c *pollConn) SetReadDeadline(t time.Time) error {
	now := time.Now()
	c.silence = t.Sub(now)
	c.end = now.Add(bodyLimit * c.silence)
	return nil
}

func (c *pollConn) Read(p []byte) (int, error) {
	deadline := time.Now().Add(c.silence)
	if c.end.Before(deadline) {
		deadline = c.end
	}
	if err := c.Conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.reading = c.reading || n > 0
	if err := c.head.read(p[:n]); err != nil {
		return 0, err
	}
	return n, err
}

// quiet reports whether an idle connection is open and nothing has come on it since
// its last answer. below is the socket of conn.
func quiet(conn net.Conn, below *socket.Socket) bool {
	if !isQuiet(below) {
		return false
	}
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return true
	}
	// TLS may have read ahead: take what it has, without waiting for more.
	var one [1]byte
	if err := secure.SetReadDeadline(longAgo); err != nil {
		return false
	}
	n, err := secure.Read(one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// isQuiet takes a connection for quiet that has no socket to look at.
func isQuiet(below *socket.Socket) bool {
	state := below.Look()
	return state != socket.Closed && state != socket.Data
}

// closedWhileIdle reports whether err says that the connection was closed when it was
// used again, before an answer to that began.
func (c *pollConn) closedWhileIdle(err error) bool {
	return c.exchanges > 1 && !c.reading &&
		(errors.Is(err, fasthttp.ErrConnectionClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}

// RemoteAddr lets Client.send see, through the response, on what connection it was asked:
// fasthttp calls it before it writes a request.
func (c *pollConn) RemoteAddr() net.Addr { return pollAddr{c.Conn.RemoteAddr(), c} }

type pollAddr struct {
	net.Addr
	conn *pollConn
}
