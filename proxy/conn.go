package proxy

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"pollbridge/internal/socket"

	"github.com/gofiber/fiber/v2"
)

// patientListener gives connections a deadline for writing that moves with what is
// written. One deadline for a whole answer would cut off slow but honest readers of
// large documents; none would let dishonest ones hold connections for ever.
type patientListener struct {
	net.Listener
	clock      *clock
	closing    *atomic.Bool // no connection is waited for any more
	turns      *atomic.Uint64
	departures *departures
}

func (l patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &patientConn{
		Conn: socket.Wrap(conn), clock: l.clock, closing: l.closing, turns: newTurns(l.turns),
		peer: newPeer(conn.RemoteAddr()), departures: l.departures,
	}
	l.departures.enter(&c.seat, conn)
	return c, nil
}

// clock is the time, a little late. Asking for the exact one, and setting timers by
// it, is a tenth of what answering from memory costs.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) set(t time.Time) { c.nanoseconds.Store(t.UnixNano()) }
func (c *clock) now() time.Time  { return time.Unix(0, c.nanoseconds.Load()) }

const (
	writePatience  = 30 * time.Second
	slowestReading = 16 << 10 // bytes a second
	deadlineSlack  = 2 * time.Second
)

// patientConn sets deadlines late: a timer is only touched when it would be wrong by
// more than the slack. Reading belongs to one goroutine at a time, and so does
// writing.
type patientConn struct {
	net.Conn
	clock   *clock
	closing *atomic.Bool
	served  atomic.Bool // something was read
	turns   turns
	peer    peer
	numbers numbers

	departures *departures // which has seat
	seat       seat

	writing       time.Time // deadline that is set for writing
	reading, want time.Time // deadline that is set for reading, and that should be
	interrupted   atomic.Bool

	large []byte // body of the answer that is written next, if pages holds it too
	pages *paged // see pages.of
}

// connOf returns the connection that a request came on, or nil if it has another one.
func connOf(c *fiber.Ctx) *patientConn { return patientBelow(c.Context().Conn()) }

// patientBelow finds the connection that conn is, or that TLS runs over, or nil.
func patientBelow(conn net.Conn) *patientConn {
	for {
		if patient, ok := conn.(*patientConn); ok {
			return patient
		}
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = wrapped.NetConn()
	}
}

// seatOf returns the place of that connection, or nil.
func seatOf(c *fiber.Ctx) *seat {
	if conn := connOf(c); conn != nil {
		return &conn.seat
	}
	return nil
}

// writeNext tells that the next answer ends with body, which is in pages, too, and
// releases them afterwards. It may only be called while nothing is written.
func (c *patientConn) writeNext(body []byte, pages *paged) {
	c.doneWithLarge()
	c.large, c.pages = body, pages
}

// doneWithLarge is for Close, too, which another goroutine may call on an idle
// connection.
func (c *patientConn) doneWithLarge() {
	if c.pages != nil {
		c.pages.release()
		c.large, c.pages = nil, nil
	}
}

// NetConn lets package socket look at it.
func (c *patientConn) NetConn() net.Conn { return c.Conn }

func (c *patientConn) Write(p []byte) (int, error) {
	c.turns.written()
	allowed := writePatience + time.Duration(len(p)/slowestReading)*time.Second
	if now := c.clock.now(); c.writing.Sub(now) < allowed-writePatience/2 {
		c.writing = now.Add(allowed)
		if err := c.Conn.SetWriteDeadline(c.writing); err != nil {
			return 0, err
		}
	}
	if c.large != nil {
		return c.writeLarge(p)
	}
	return c.Conn.Write(p)
}

// writeLarge writes a part of an answer with a large body: first its head, with what
// of the body fits into the engine's buffer, then the rest of the body.
func (c *patientConn) writeLarge(p []byte) (int, error) {
	to := c.Conn.(*socket.Conn)
	body := c.large
	if len(p) < largeBody/2 {
		return to.WriteMore(p)
	}
	defer c.doneWithLarge()
	// Pages are sent whole: what stands before the first of them goes with the head.
	part := -(len(body) - len(p)) & (os.Getpagesize() - 1)
	if len(p) <= part || len(p) > len(body) || &p[len(p)-1] != &body[len(body)-1] {
		return to.Write(p)
	}
	n, err := to.WriteMore(p[:part])
	if err != nil {
		return n, err
	}
	from := len(body) - (len(p) - part)
	rest, err := to.WriteFile(c.pages.file, int64(from), len(body)-from)
	n += rest
	if err != nil { // of the file, or of the connection: then this fails, too
		rest, err = to.Write(p[n:])
		n += rest
	}
	return n, err
}

// SetReadDeadline takes effect with the next Read: most often there is none, because
// what is wanted has already been read.
func (c *patientConn) SetReadDeadline(t time.Time) error {
	c.want = t
	return nil
}

// SetDeadline takes effect at once.
func (c *patientConn) SetDeadline(t time.Time) error {
	return c.Conn.SetDeadline(t)
}

func (c *patientConn) Read(p []byte) (int, error) {
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
	c.turns.beforeRead()
	return c.Conn.Read(p)
}

// Bounds on reading what a client still sends to a connection that is being closed.
const (
	lingering     = time.Second
	lingeringMost = 4 << 20 // bytes
)

// Close waits a moment for a client that is still sending: were the connection closed
// on unread bytes, the kernel would reset it, and the client might never read the
// answer that says why.
func (c *patientConn) Close() error {
	c.departures.leave(&c.seat)
	c.doneWithLarge()
	plain, ok := c.Conn.(*socket.Conn)
	if ok && c.served.Load() && !c.closing.Load() && (c.interrupted.Load() || socket.At(plain) == socket.Data) {
		_ = plain.CloseWrite()
		_ = plain.SetReadDeadline(time.Now().Add(lingering))
		// Another goroutine may be reading, for which only what is below is made.
		_, _ = io.CopyN(io.Discard, plain.TCPConn, lingeringMost)
	}
	return c.Conn.Close()
}

// interrupt ends a Read on conn that is under way in another goroutine, and all that
// follow.
func interrupt(conn net.Conn) {
	if patient := patientBelow(conn); patient != nil {
		patient.interrupted.Store(true)
		conn = patient.Conn
	}
	_ = conn.SetReadDeadline(time.Unix(1, 0))
}
