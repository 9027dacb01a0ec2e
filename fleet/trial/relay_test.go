//go:build fleet

package trial_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// relay is a network between a replica and a server of NATS, that can drop everything without a
// word, as a network does that is cut.
type relay struct {
	addr string
	to   string
	cut  atomic.Bool

	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	r := &relay{addr: ln.Addr().String(), to: to}
	t.Cleanup(func() {
		ln.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
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

func (r *relay) serve(conn net.Conn) {
	r.keep(conn)
	for r.cut.Load() { // whoever connects is not answered
		time.Sleep(10 * time.Millisecond)
	}
	there, err := net.Dial("tcp", r.to)
	if err != nil {
		conn.Close()
		return
	}
	r.keep(there)
	go r.copy(there, conn)
	r.copy(conn, there)
}

func (r *relay) keep(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
}

// copy passes bytes on; while the network is cut they go nowhere, and so does the end of the
// connection.
func (r *relay) copy(to io.WriteCloser, from io.ReadCloser) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		for r.cut.Load() {
			time.Sleep(10 * time.Millisecond)
			if err != nil {
				continue
			}
			n, err = 0, io.ErrUnexpectedEOF // what was lost breaks the stream once the network is back
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
