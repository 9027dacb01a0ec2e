package proxy

import (
	"net"
	"sync"
	"time"

	"pollbridge/internal/socket"
)

// hangups notices clients that hang up while they wait. The HTTP engine does not: it
// looks at a connection only when it reads or writes.
type hangups struct {
	waiting sync.Map // what to call, by the *socket.Socket of who waits
	quit    chan struct{}
	done    sync.WaitGroup
}

// newHangups begins to look at connections. The caller must close it.
func newHangups() *hangups {
	h := &hangups{quit: make(chan struct{})}
	h.done.Go(h.run)
	return h
}

func (h *hangups) close() {
	close(h.quit)
	h.done.Wait()
}

// watch calls left, once, if the other side of conn hangs up before stop is called. left
// must not block. It may still be running when stop returns. Further calls of stop do
// nothing.
func (h *hangups) watch(conn net.Conn, left func()) (stop func()) {
	client := socket.Of(conn)
	h.waiting.Store(client, left)
	return func() { h.waiting.Delete(client) }
}

func (h *hangups) run() {
	ticker := time.NewTicker(hangupChecks)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.look()
		case <-h.quit:
			return
		}
	}
}

// look asks the kernel whether the other sides are there. A connection that was closed
// here meanwhile has no client either.
func (h *hangups) look() {
	for client := range h.waiting.Range {
		if client.(*socket.Socket).Look() != socket.Closed {
			continue
		}
		if left, waits := h.waiting.LoadAndDelete(client); waits {
			left.(func())()
		}
	}
}
