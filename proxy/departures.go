package proxy

import (
	"net"
	"slices"
	"sync"
	"time"

	"pollbridge/internal/socket"
)

// departures notices clients that hang up while they wait. The HTTP engine does
// not: it looks at a connection only when it reads or writes.
type departures struct {
	mu      sync.Mutex
	waiting []*waiter // guarded by mu

	quit chan struct{}
	done sync.WaitGroup
}

// waiter is one client that waits.
type waiter struct {
	departures *departures
	conn       net.Conn
	client     interface{ gone() }
	place      int // in waiting, guarded by the mutex there; -1: it is not
}

// goneFunc is a function as a client.
type goneFunc func()

func (f goneFunc) gone() { f() }

// newDepartures looks at connections once an interval. It tells the time whenever it
// does, the first time before it returns.
func newDepartures(interval time.Duration, tell func(time.Time)) *departures {
	d := &departures{quit: make(chan struct{})}
	tell(time.Now())
	d.done.Go(func() { d.run(interval, tell) })
	return d
}

// watch calls gone, once, if the other side of conn hangs up before stop is called.
// gone must not block. It may still be running, but not begin, when stop returns.
func (d *departures) watch(conn net.Conn, gone func()) *waiter {
	w := &waiter{}
	d.watchFor(w, conn, goneFunc(gone))
	return w
}

// watchFor is watch, with memory of the caller's.
func (d *departures) watchFor(w *waiter, conn net.Conn, client interface{ gone() }) {
	w.departures, w.conn, w.client = d, conn, client
	d.mu.Lock()
	defer d.mu.Unlock()
	w.place = len(d.waiting)
	d.waiting = append(d.waiting, w)
}

func (w *waiter) stop() {
	w.departures.mu.Lock()
	defer w.departures.mu.Unlock()
	w.departures.removeLocked(w)
}

// removeLocked moves the last one to where w was.
func (d *departures) removeLocked(w *waiter) {
	if w.place < 0 {
		return
	}
	end := len(d.waiting) - 1
	last := d.waiting[end]
	d.waiting[w.place], last.place = last, w.place
	d.waiting[end] = nil
	d.waiting = d.waiting[:end]
	w.place = -1
}

func (d *departures) close() {
	close(d.quit)
	d.done.Wait()
}

func (d *departures) run(interval time.Duration, tell func(time.Time)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			tell(now)
			d.look()
		case <-d.quit:
			return
		}
	}
}

// look asks the kernel about each connection. It holds the lock meanwhile, so that
// none of them can be closed, and its number given to another, under its eyes.
func (d *departures) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range slices.Backward(d.waiting) { // what takes the place of a removed one was looked at
		if socket.At(w.conn) == socket.Closed {
			d.removeLocked(w)
			w.client.gone()
		}
	}
}
