// Package http10 streams answers of unknown length to clients of HTTP/1.0, who know no
// chunks: such an answer ends where the connection does.
package http10

import (
	"bufio"
	"context"
	"net"
	"sync"

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

// Respond sends the head of the response and then what write writes, and closes the
// connection; w has to be flushed where what was written should not wait. It returns at
// once: write is called after the handler of c has returned, and must not use c. If
// write fails or panics, the connection is reset, so that nobody takes a part for the
// whole.
func (s *Streams) Respond(c *fasthttp.RequestCtx, write func(w *bufio.Writer) error) {
	header := &c.Response.Header
	header.SetConnectionClose()
	head := append([]byte(nil), header.Header()...)
	s.running.Add(1)
	c.HijackSetNoResponse(true)
	c.Hijack(func(conn net.Conn) {
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
	for {
		if c, ok := conn.(interface{ SetLinger(int) error }); ok {
			_ = c.SetLinger(0)
			return
		}
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		case interface{ UnsafeConn() net.Conn }:
			conn = c.UnsafeConn()
		default:
			return
		}
	}
}
