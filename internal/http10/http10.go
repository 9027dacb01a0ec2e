// Package http10 streams answers of unknown length to clients of HTTP/1.0, who know no
// chunks: such an answer ends where the connection does.
package http10

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"

	"pollbridge/internal/socket"

	"github.com/valyala/fasthttp"
)

// Streams are the answers that are being streamed. The HTTP engine does not wait for
// them when it shuts down, so whoever does has to. The zero value is ready to use.
type Streams struct{ running sync.WaitGroup }

// Wait waits for all answers to end, but no longer than ctx: then it returns the error of
// that. No more may begin.
func (s *Streams) Wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { s.running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Closing is for connections to embed on which answers are streamed: they have to call
// Closed when they are closed.
type Closing struct{ f atomic.Pointer[func()] }

func (c *Closing) onClose(f func()) { c.f.Store(&f) }

// Closed tells whoever wants to know that the connection is closed. It may be called more
// than once.
func (c *Closing) Closed() {
	if f := c.f.Swap(nil); f != nil {
		(*f)()
	}
}

// Respond sends the head of the response and then what write writes, and closes the
// connection; w has to be flushed where what was written should not wait. It returns at
// once: write is called after the handler of c has returned, and must not use c. If
// write fails or panics, the connection is reset, so that nobody takes a part for the
// whole. It is not called if the connection, or one below it, embeds Closing and breaks off
// before the answer could begin; then abandon is.
func (s *Streams) Respond(c *fasthttp.RequestCtx, write func(w *bufio.Writer) error, abandon func()) {
	header := &c.Response.Header
	header.SetConnectionClose()
	head := append([]byte(nil), header.Header()...)
	s.running.Add(1)
	var begun atomic.Bool
	for conn := range socket.Down(c.Conn()) {
		if closing, ok := conn.(interface{ onClose(func()) }); ok {
			closing.onClose(func() {
				if begun.CompareAndSwap(false, true) {
					abandon()
					s.running.Done()
				}
			})
			break
		}
	}
	c.HijackSetNoResponse(true)
	c.Hijack(func(conn net.Conn) {
		if !begun.CompareAndSwap(false, true) {
			return
		}
		defer s.running.Done()
		ended := false
		defer func() {
			_ = recover()
			if !ended {
				reset(conn)
			}
		}()
		w := bufio.NewWriter(conn)
		if _, err := w.Write(head); err != nil {
			return
		}
		if write(w) == nil && w.Flush() == nil {
			ended = true
		}
	})
}

// reset makes the connection end in a reset when it is closed.
func reset(conn net.Conn) {
	for below := range socket.Down(conn) {
		if c, ok := below.(interface{ SetLinger(int) error }); ok {
			_ = c.SetLinger(0)
			return
		}
	}
}

// Listener has the connections that it accepts embed Closing.
type Listener struct{ net.Listener }

// Accept waits for the next connection.
func (l Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: accepted}, nil
}

type conn struct {
	net.Conn
	Closing
}

func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) Close() error {
	c.Closed()
	return c.Conn.Close()
}
