package proxy

import (
	"net"
	"sync"
	"time"

	"pollbridge/internal/peek"
)

// departures notices clients that hang up while they wait. The HTTP engine does
// not: it looks at a connection only when it reads or writes.
type departures struct {
	mu      sync.Mutex
	waiting map[*waiter]struct{} // guarded by mu

	quit chan struct{}
	done sync.WaitGroup
}

type waiter struct {
	departures *departures
	conn       net.Conn
	gone       func()
}

// newDepartures looks at connections once an interval. It tells the time whenever it
// does, the first time before it returns.
func newDepartures(interval time.Duration, tell func(time.Time)) *departures {
	d := &departures{waiting: map[*waiter]struct{}{}, quit: make(chan struct{})}
	tell(time.Now())
	d.done.Go(func() { d.run(interval, tell) })
	return d
}

// watch calls gone, once, if the other side of conn hangs up before stop is called.
// gone must not block. It may still be running, but not begin, when stop returns.
func (d *departures) watch(conn net.Conn, gone func()) *waiter {
	w := &waiter{d, conn, gone}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting[w] = struct{}{}
	return w
}

func (w *waiter) stop() {
	w.departures.mu.Lock()
	defer w.departures.mu.Unlock()
	delete(w.departures.waiting, w)
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
	for w := range d.waiting {
		if peek.At(w.conn) == peek.Closed {
			delete(d.waiting, w)
			w.gone()
		}
	}
}
