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
// without a word, as a network does that is cut, refuse connections, and be slow.
type Relay struct {
	Addr string // where to connect to: HOST:PORT
	Cut  atomic.Bool
	Deaf atomic.Bool // what comes back is dropped, what goes there is not
	Slow atomic.Bool

	t  testing.TB
	to string

	mu    sync.Mutex
	ln    net.Listener // guarded by mu, as below; nil: connections are refused
	conns []net.Conn
}

// A slow network, in each direction.
const (
	slowLatency = 200 * time.Millisecond
	slowRate    = 128 << 10 // bytes a second, of each connection
)

// NewRelay starts a relay to an address. It ends with the test.
func NewRelay(t testing.TB, to string) *Relay {
	t.Helper()
	r := &Relay{Addr: "127.0.0.1:" + Ports(t, 1)[0], t: t, to: to}
	r.Serve()
	t.Cleanup(func() {
		r.Refuse()
		r.Cut.Store(false) // nobody waits for the network any more
		r.Deaf.Store(false)
	})
	return r
}

// Refuse ends all connections, and refuses new ones, until Serve is called.
func (r *Relay) Refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ln != nil {
		r.ln.Close()
		r.ln = nil
	}
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// Serve takes connections again. It is called by the goroutine of the test, which ends if it cannot.
func (r *Relay) Serve() {
	r.t.Helper()
	ln, err := net.Listen("tcp", r.Addr)
	NoError(r.t, err)
	r.mu.Lock()
	r.ln = ln
	r.mu.Unlock()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
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
	if r.ln == nil { // since it was accepted
		c.Close()
		return
	}
	r.conns = append(r.conns, c)
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
