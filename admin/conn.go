package admin

import (
	"net"
	"sync/atomic"
	"time"
)

const (
	// writeTime is how long a client may take for each writePiece of an answer, in bytes.
	// A deadline for the whole answer would cut off slow but honest readers of large
	// documents; none would let dishonest ones hold answers for ever.
	writeTime  = 30 * time.Second
	writePiece = 512 << 10
	// socketBuffer is how many bytes the kernel takes over. It tells of progress only in
	// thirds of that, and would let it grow to megabytes.
	socketBuffer = 256 << 10
)

// pacedListener accepts connections whose deadline for writing moves with what is written.
type pacedListener struct{ net.Listener }

func (l pacedListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := accepted.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(socketBuffer)
	}
	return &pacedConn{Conn: accepted}, nil
}

type pacedConn struct {
	net.Conn
	left atomic.Int64 // bytes until the deadline moves
}

// NetConn lets others look at the connection below.
func (c *pacedConn) NetConn() net.Conn { return c.Conn }

// SetWriteDeadline is called when an answer begins. It may be called during a Write.
func (c *pacedConn) SetWriteDeadline(t time.Time) error {
	c.left.Store(writePiece)
	return c.Conn.SetWriteDeadline(t)
}

func (c *pacedConn) Write(p []byte) (written int, err error) {
	for written < len(p) {
		left := int(c.left.Load())
		if left <= 0 {
			if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
				return written, err
			}
			left = writePiece
		}
		n, err := c.Conn.Write(p[written:min(len(p), written+left)])
		c.left.Add(-int64(n))
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}
