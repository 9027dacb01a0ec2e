// Package hangup notices clients that hang up while they wait for an answer. The HTTP
// engine does not: it looks at a connection only when it reads or writes.
package hangup

import (
	"net"
	"sync"
	"time"

	"pollbridge/internal/socket"
)

// Watcher looks at the connections of those who wait. It is safe for concurrent use.
// Create it with New.
type Watcher struct {
	every   time.Duration
	waiting sync.Map // what to call, by the *socket.Socket of who waits
	begin   sync.Once
	quit    chan struct{}
	running sync.WaitGroup
}

// New returns a Watcher that looks every so often. The caller must Close it once it has
// watched a connection.
func New(every time.Duration) *Watcher { return &Watcher{every: every, quit: make(chan struct{})} }

// Close ends looking. Nobody's leaving is noticed any more. It may be called once.
func (w *Watcher) Close() {
	w.begin.Do(func() {}) // nothing begins after it
	close(w.quit)
	w.running.Wait()
}

// Watch calls left, once, if the other side of conn hangs up before stop is called. left
// must not block. It may still be running when stop returns. Further calls of stop do
// nothing.
func (w *Watcher) Watch(conn net.Conn, left func()) (stop func()) {
	w.begin.Do(func() { w.running.Go(w.run) })
	client := socket.Of(conn)
	w.waiting.Store(client, left)
	return func() { w.waiting.Delete(client) }
}

func (w *Watcher) run() {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.look()
		case <-w.quit:
			return
		}
	}
}

// look asks the kernel whether the other sides are there. A connection that was closed
// here meanwhile has no client either.
func (w *Watcher) look() {
	for client := range w.waiting.Range {
		if client.(*socket.Socket).Look() != socket.Closed {
			continue
		}
		if left, waits := w.waiting.LoadAndDelete(client); waits {
			left.(func())()
		}
	}
}
