package engine

import (
	"net"
	"sync"
	"time"
)

const (
	// mostWaiting is how many bytes wait for the server before whoever writes does.
	mostWaiting = 64 << 20
	// lastWords is how long a connection that is closed goes on to send what waits.
	lastWords = time.Second
)

// queuedConn is a connection on which nobody who writes waits for the server. That reads nothing
// while its disk hangs, and the client writes under a lock that all its calls take, whatever their
// deadlines are.
type queuedConn struct {
	net.Conn

	mu      sync.Mutex
	changed *sync.Cond
	waiting []byte // guarded by mu, as below
	closing bool
	err     error // why nothing is sent any more
	sent    chan struct{}
}

func newQueuedConn(conn net.Conn) *queuedConn {
	c := &queuedConn{Conn: conn, sent: make(chan struct{})}
	c.changed = sync.NewCond(&c.mu)
	go c.send()
	return c
}

// Write queues b. The error is that of an earlier one.
func (c *queuedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) > 0 && len(c.waiting)+len(b) > mostWaiting && c.err == nil && !c.closing {
		c.changed.Wait()
	}
	if c.closing {
		return 0, net.ErrClosed
	}
	if c.err != nil {
		return 0, c.err
	}
	c.waiting = append(c.waiting, b...)
	c.changed.Broadcast()
	return len(b), nil
}

// send sends what was queued until the connection is closed.
func (c *queuedConn) send() {
	defer close(c.sent)
	var batch []byte
	for {
		c.mu.Lock()
		for len(c.waiting) == 0 && !c.closing {
			c.changed.Wait()
		}
		if len(c.waiting) == 0 {
			c.mu.Unlock()
			return
		}
		batch, c.waiting = c.waiting, batch[:0]
		c.changed.Broadcast()
		c.mu.Unlock()
		_, err := c.Conn.Write(batch)
		if err != nil {
			c.mu.Lock()
			c.err, c.waiting = err, nil
			c.changed.Broadcast()
			c.mu.Unlock()
			return
		}
		if cap(batch) > keptBuffer {
			batch = nil
		}
	}
}

// keptBuffer is the size up to which a buffer is used again.
const keptBuffer = 1 << 20

// Close sends what waits, unless that takes too long.
func (c *queuedConn) Close() error {
	c.mu.Lock()
	c.closing = true
	c.changed.Broadcast()
	c.mu.Unlock()
	c.Conn.SetWriteDeadline(time.Now().Add(lastWords))
	<-c.sent
	return c.Conn.Close()
}

// The client's deadlines for writing are not those of what was queued.

func (c *queuedConn) SetWriteDeadline(time.Time) error { return nil }
func (c *queuedConn) SetDeadline(t time.Time) error    { return c.Conn.SetReadDeadline(t) }
