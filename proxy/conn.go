package proxy

import (
	"net"
	"time"
)

// patientListener gives connections a deadline for writing that moves with what is
// written. One deadline for a whole answer would cut off slow but honest readers of
// large documents; none would let dishonest ones hold connections for ever.
type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: conn}, nil
}

const (
	writePatience  = 30 * time.Second
	slowestReading = 16 << 10 // bytes a second
)

// patientConn is used by one goroutine at a time, as far as writing goes.
type patientConn struct {
	net.Conn
	deadline time.Time
}

// NetConn lets package peek see the socket.
func (c *patientConn) NetConn() net.Conn { return c.Conn }

func (c *patientConn) Write(p []byte) (int, error) {
	allowed := writePatience + time.Duration(len(p)/slowestReading)*time.Second
	// A deadline that is hardly shorter will do: setting one is not free.
	if now := time.Now(); c.deadline.Sub(now) < allowed-writePatience/2 {
		c.deadline = now.Add(allowed)
		if err := c.Conn.SetWriteDeadline(c.deadline); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}
