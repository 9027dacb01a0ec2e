package proxy

import (
	"net"
	"os"
	"sync/atomic"
	"time"

	"pollbridge/internal/http10"
	"pollbridge/internal/socket"

	"github.com/gofiber/fiber/v2"
)

// clientListener accepts connections of clients.
type clientListener struct {
	net.Listener
	lingering *lingering
}

func (l clientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &clientConn{Conn: conn, lingering: l.lingering}, nil
}

const (
	writeTimeout   = 30 * time.Second
	slowestReading = 16 << 10 // bytes a second
	deadlineSlack  = 2 * time.Second
)

// clientConn is the connection of a client. Its deadline for writing moves with what is
// written: one for a whole answer would cut off slow but honest readers of large
// documents; none would let dishonest ones hold connections for ever.
//
// A deadline is set anew only when the one that is set would be wrong by more than the
// slack: timers are not free. Reading belongs to one goroutine at a time, and so does
// writing.
type clientConn struct {
	net.Conn
	http10.Closing
	lingering *lingering
	seen      recorder
	secure    bool // TLS runs over it, and is what is recorded

	served      atomic.Bool // something was read
	unread      atomic.Bool // an answer was given before the request had come whole
	interrupted atomic.Bool // reading was
	held        atomic.Bool // an answer was made that has not been written
	reset       atomic.Bool // an answer broke off: nobody may take a part for the whole

	writing       time.Time // deadline that is set for writing
	reading, want time.Time // deadline that is set for reading, and that should be
}

// connOf returns the connection that a request came on.
func connOf(c *fiber.Ctx) *clientConn { return clientConnBelow(c.Context().Conn()) }

// clientConnBelow returns the connection that conn is, or that TLS runs over.
func clientConnBelow(conn net.Conn) *clientConn {
	if secure, ok := conn.(recordedTLS); ok {
		return secure.client
	}
	return conn.(*clientConn)
}

// NetConn lets others look at the connection below.
func (c *clientConn) NetConn() net.Conn { return c.Conn }

func (c *clientConn) Write(p []byte) (int, error) {
	c.held.Store(false)
	allowed := writeTimeout + time.Duration(len(p)/slowestReading)*time.Second
	// The time of now, and not of when the request came: the process may have been
	// stopped in between.
	if now := time.Now(); c.writing.Sub(now) < allowed-deadlineSlack {
		c.writing = now.Add(allowed)
		if err := c.Conn.SetWriteDeadline(c.writing); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// SetReadDeadline takes effect with the next Read: most often there is none, because
// what is wanted has already been read.
func (c *clientConn) SetReadDeadline(t time.Time) error {
	c.want = t
	return nil
}

// SetDeadline takes effect at once.
func (c *clientConn) SetDeadline(t time.Time) error {
	c.reading, c.want, c.writing = t, t, t
	return c.Conn.SetDeadline(t)
}

func (c *clientConn) Read(p []byte) (int, error) {
	if late := c.want.Sub(c.reading); late < 0 || late > deadlineSlack {
		c.reading = c.want
		if err := c.Conn.SetReadDeadline(c.want); err != nil {
			return 0, err
		}
	}
	// After the deadline is set: an interruption either is seen here, or its own
	// deadline comes later and ends the read below.
	if c.interrupted.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	if !c.served.Load() {
		c.served.Store(true)
	}
	if c.secure {
		return c.Conn.Read(p)
	}
	return c.seen.read(c.Conn, p)
}

// Close waits for a client that is still sending: were the connection closed on unread
// bytes, the kernel would reset it, and the client might never read the answer that
// says why.
func (c *clientConn) Close() error {
	c.Closed()
	tcp, ok := c.Conn.(*net.TCPConn)
	if ok && c.reset.Load() {
		_ = tcp.SetLinger(0)
		return tcp.Close()
	}
	if ok && c.served.Load() && (c.unread.Load() || c.interrupted.Load() || socket.At(tcp) == socket.Data) {
		c.lingering.linger(tcp)
	}
	return c.Conn.Close()
}

// SetLinger makes the connection end in a reset, whatever would be waited for otherwise.
func (c *clientConn) SetLinger(int) error {
	c.reset.Store(true)
	return nil
}

// interrupt ends a Read that is under way in another goroutine, and all that follow.
func (c *clientConn) interrupt() {
	c.interrupted.Store(true)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}
