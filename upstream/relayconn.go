package upstream

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"pollbridge/internal/socket"
)

// relayConn is a connection for requests that pass through and are held whole. It
// belongs to one exchange at a time.
type relayConn struct {
	net.Conn
	socket   *socket.Socket
	in       *bufio.Reader
	request  []byte        // memory for the next one
	waiting  bool          // the request has not been sent
	patience time.Duration // for each read and write
	deadline time.Time     // that is set for both
	made     time.Time
	moved    time.Time // when something last came or was waited for
	idle     time.Time // since when; zero until it is first used again
	close    func()    // Close, made once
}

// ask sends the request and waits until the answer begins, without taking any of it.
// The error is errStale if nothing was sent, because the connection has not stayed
// open and quiet while it was idle.
func (c *relayConn) ask() error {
	c.in.Reset(c) // it is empty, but may still know an end that came with the last answer
	c.waiting = true
	_, err := c.in.Peek(1)
	return err
}

// Read reads once the exchange has begun; what comes late has its own deadline.
func (c *relayConn) Read(p []byte) (int, error) {
	if c.waiting {
		c.waiting = false
		return c.sendAndRead(p)
	}
	c.moved = time.Now()
	if err := c.extend(c.moved); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// sendAndRead sends the request and reads the first of the answer.
func (c *relayConn) sendAndRead(p []byte) (int, error) {
	if !c.idle.IsZero() { // it has served before
		if plain, ok := c.Conn.(*socket.Conn); ok {
			n, err := plain.Ask(c.request, p)
			if err == socket.ErrNotQuiet {
				err = errStale
			}
			return n, err
		}
		if !quiet(c.Conn, c.socket) {
			return 0, errStale
		}
		c.deadline = time.Time{} // looking at it has set another
		if err := c.extend(time.Now()); err != nil {
			return 0, err
		}
	}
	if _, err := c.Conn.Write(c.request); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// extend sets the deadline anew, unless that would hardly change it: timers are not
// free.
func (c *relayConn) extend(now time.Time) error {
	if c.deadline.Sub(now) > c.patience {
		return nil
	}
	c.deadline = now.Add(c.patience + c.patience/8)
	return c.Conn.SetDeadline(c.deadline)
}

// relayPool keeps connections that may be used again, the freshest on top.
type relayPool struct {
	dialer   *dialer
	patience time.Duration
	most     int

	mu   sync.Mutex
	idle []*relayConn // guarded by mu
}

const (
	relayIdle   = 10 * time.Second
	relayBuffer = 32 << 10 // bytes; the head of an answer has to fit in
	requestKept = 4 << 10  // bytes; memory for larger requests is not kept
)

// get returns a connection on which nothing has been sent yet, or one that has served
// before. Its deadline is set from now on.
func (p *relayPool) get(ctx context.Context, now time.Time) (*relayConn, error) {
	for {
		conn := p.pop()
		if conn == nil {
			return p.dial(ctx)
		}
		if now.Sub(conn.idle) < relayIdle && now.Sub(conn.made) < connectionAge && conn.extend(now) == nil {
			return conn, nil
		}
		conn.Close()
	}
}

func (p *relayPool) dial(ctx context.Context) (*relayConn, error) {
	plain, err := p.dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	conn := &relayConn{Conn: plain, socket: socket.Of(plain), patience: p.patience, made: time.Now()}
	conn.moved = conn.made
	conn.close = func() { conn.Close() }
	conn.in = bufio.NewReaderSize(conn, relayBuffer)
	if err := conn.extend(conn.made); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (p *relayPool) pop() *relayConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	conn := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return conn
}

// put takes a connection back whose exchange has ended well.
func (p *relayPool) put(conn *relayConn) {
	if conn.in.Buffered() > 0 { // more than the answer had: whose would that be?
		conn.Close()
		return
	}
	conn.idle = conn.moved
	if cap(conn.request) > requestKept {
		conn.request = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= p.most {
		conn.Close()
		return
	}
	p.idle = append(p.idle, conn)
}

// closeIdle closes the connections that have been idle for too long.
func (p *relayPool) closeIdle(longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kept []*relayConn
	for _, conn := range p.idle {
		if time.Since(conn.idle) < longest {
			kept = append(kept, conn)
		} else {
			conn.Close()
		}
	}
	p.idle = kept
}
