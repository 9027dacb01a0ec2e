package testkit

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Relay is a network between two, of which one connects to the other. It can drop everything
// without a word, as a network does that is cut, and it can be slow.
type Relay struct {
	Addr string // where to connect to: HOST:PORT
	Cut  atomic.Bool
	Deaf atomic.Bool // what comes back is dropped, what goes there is not
	Slow atomic.Bool

	to string

	mu    sync.Mutex
	conns []net.Conn // guarded by mu, as below
	over  bool
}

// A slow network, in each direction.
const (
	slowLatency = 200 * time.Millisecond
	slowRate    = 128 << 10 // bytes a second, of each connection
)

// NewRelay starts a relay to an address. It ends with the test.
func NewRelay(t testing.TB, to string) *Relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	NoError(t, err)
	r := &Relay{Addr: ln.Addr().String(), to: to}
	t.Cleanup(func() {
		ln.Close()
		r.Cut.Store(false) // nobody waits for the network any more
		r.Deaf.Store(false)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.over = true
		for _, c := range r.conns {
			c.Close()
		}
	})
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *Relay) serve(conn net.Conn) {
	r.keep(conn)
	for r.Cut.Load() { // whoever connects is not answered
		time.Sleep(10 * time.Millisecond)
	}
	there, err := net.Dial("tcp", r.to)
	if err != nil {
		conn.Close()
		return
	}
	r.keep(there)
	go r.copy(there, conn, r.Cut.Load)
	r.copy(conn, there, func() bool { return r.Cut.Load() || r.Deaf.Load() })
}

func (r *Relay) keep(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
	if r.over {
		c.Close()
	}
}

// piece is what was read, and when it arrives.
type piece struct {
	bytes []byte
	due   time.Time
	err   error
}

// copy passes bytes on; what is lost goes nowhere, and so does the end of the connection.
func (r *Relay) copy(to io.WriteCloser, from io.ReadCloser, lost func() bool) {
	pieces := make(chan piece, 256)
	go r.read(from, pieces)
	defer func() {
		to.Close()
		for range pieces { // until the other direction has closed from
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		for lost() {
			time.Sleep(10 * time.Millisecond)
			if p.err == nil {
				p = piece{err: io.ErrUnexpectedEOF} // what was lost breaks the stream once the network is back
			}
		}
		if _, err := to.Write(p.bytes); err != nil || p.err != nil {
			return
		}
	}
}

// read reads until there is no more.
func (r *Relay) read(from io.Reader, pieces chan<- piece) {
	defer close(pieces)
	var free time.Time // when what was read before has gone
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		now := time.Now()
		p := piece{buffer[:n], now, err}
		if r.Slow.Load() {
			if now.After(free) {
				free = now
			}
			free = free.Add(time.Duration(n) * time.Second / slowRate)
			p.due = free.Add(slowLatency)
		}
		pieces <- p
		if err != nil {
			return
		}
	}
}
