package teststore

import (
	"bytes"
	"net"
	"sync"

	"github.com/nats-io/nats.go"

	"pollbridge/store/engine"
)

// Hanging is a connection to an engine whose disk may hang: while it does, nothing that is asked
// arrives, though the engine is well; it all arrives after that.
type Hanging struct {
	*engine.Engine
	nc *nats.Conn

	mu    sync.Mutex
	hangs bool                    // guarded by mu, as below
	when  func(asked []byte) bool // it does from then on; may be nil
	conns []*hangingConn
}

// Through connects to an engine. The caller must CloseConn it, before the engine.
func Through(e *engine.Engine) (*Hanging, error) {
	h := &Hanging{Engine: e}
	var err error
	h.nc, err = nats.Connect("", nats.InProcessServer(h), nats.MaxReconnects(-1), nats.SyncQueueLen(1024))
	return h, err
}

// Conn is the connection that may hang.
func (h *Hanging) Conn() *nats.Conn { return h.nc }

// CloseConn ends the connection.
func (h *Hanging) CloseConn() { h.nc.Close() }

// Hang has the disk hang from now on, or go on.
func (h *Hanging) Hang(hangs bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hangs, h.when = hangs, nil
	for _, c := range h.conns {
		if !hangs {
			c.Conn.Write(c.waits.Bytes()) // whoever reads is told of an error
			c.waits.Reset()
		}
	}
}

// HangWhen has the disk hang from what is asked on of which when says so.
func (h *Hanging) HangWhen(when func(asked []byte) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.when = when
}

// Hangs reports whether the disk does.
func (h *Hanging) Hangs() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hangs
}

// InProcessConn implements nats.InProcessConnProvider.
func (h *Hanging) InProcessConn() (net.Conn, error) {
	conn, err := h.Engine.InProcessConn()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &hangingConn{Conn: conn, h: h}
	h.conns = append(h.conns, c)
	return c, nil
}

type hangingConn struct {
	net.Conn
	h     *Hanging
	waits bytes.Buffer // what was written meanwhile; guarded by h.mu
}

func (c *hangingConn) Write(b []byte) (int, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.h.hangs = c.h.hangs || c.h.when != nil && c.h.when(b)
	if c.h.hangs {
		return c.waits.Write(b)
	}
	return c.Conn.Write(b)
}
