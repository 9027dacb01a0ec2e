package upstream

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"pollbridge/internal/peek"
)

// relayConn is a connection for requests that pass through and are held whole. It
// belongs to one exchange at a time.
type relayConn struct {
	net.Conn
	socket   *peek.Socket
	in       *bufio.Reader
	out      *bufio.Writer
	patience time.Duration // for each read and write
	deadline time.Time     // that is set for both
	made     time.Time
	idle     time.Time // since when
	close    func()    // Close, made once
}

// Read reads once the exchange has begun; what comes late has its own deadline.
func (c *relayConn) Read(p []byte) (int, error) {
	if err := c.extend(time.Now()); err != nil {
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
)

// get returns a connection on which nothing has been sent yet, or one that has served
// before and is open and quiet. Its deadline is set from now on.
func (p *relayPool) get(ctx context.Context, now time.Time) (*relayConn, error) {
	for {
		conn := p.pop()
		if conn == nil {
			return p.dial(ctx)
		}
		if now.Sub(conn.idle) < relayIdle && now.Sub(conn.made) < connectionAge && quiet(conn.Conn, conn.socket) {
			if p.dialer.tls != nil {
				conn.deadline = time.Time{} // looking at it has set another
			}
			if conn.extend(now) == nil {
				return conn, nil
			}
		}
		conn.Close()
	}
}

func (p *relayPool) dial(ctx context.Context) (*relayConn, error) {
	plain, err := p.dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	conn := &relayConn{Conn: plain, socket: peek.Of(plain), patience: p.patience, made: time.Now()}
	conn.close = func() { conn.Close() }
	conn.in, conn.out = bufio.NewReaderSize(conn, relayBuffer), bufio.NewWriterSize(plain, 4<<10)
	return conn, conn.extend(conn.made)
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
	conn.idle = time.Now()
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
