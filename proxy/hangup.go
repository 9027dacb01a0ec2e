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
	mu      sync.Mutex
	waiting map[*waiter]struct{} // guarded by mu

	quit chan struct{}
	done sync.WaitGroup
}

// waiter is one client that waits.
type waiter struct {
	hangups *hangups
	socket  *socket.Socket
	left    func()
}

// newHangups looks at connections once an interval. The caller must close it.
func newHangups(interval time.Duration) *hangups {
	h := &hangups{waiting: map[*waiter]struct{}{}, quit: make(chan struct{})}
	h.done.Go(func() { h.run(interval) })
	return h
}

func (h *hangups) close() {
	close(h.quit)
	h.done.Wait()
}

// watch calls left, once, if the other side of conn hangs up before stop is called. left
// must not block. It may still be running, but not begin, when stop returns.
func (h *hangups) watch(conn net.Conn, left func()) *waiter {
	w := &waiter{hangups: h, socket: socket.Of(conn), left: left}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting[w] = struct{}{}
	return w
}

// stop ends the watch. Further calls do nothing.
func (w *waiter) stop() {
	w.hangups.mu.Lock()
	defer w.hangups.mu.Unlock()
	delete(w.hangups.waiting, w)
}

func (h *hangups) run(interval time.Duration) {
	ticker := time.NewTicker(interval)
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
	for _, w := range h.all() {
		if w.socket.Look() == socket.Closed && h.remove(w) {
			w.left()
		}
	}
}

func (h *hangups) all() []*waiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*waiter, 0, len(h.waiting))
	for w := range h.waiting {
		all = append(all, w)
	}
	return all
}

// remove reports whether w still waited.
func (h *hangups) remove(w *waiter) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, waited := h.waiting[w]
	delete(h.waiting, w)
	return waited
}
