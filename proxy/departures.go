package proxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"pollbridge/internal/socket"
)

// departures notices clients that hang up while they wait. The HTTP engine does
// not: it looks at a connection only when it reads or writes.
//
// Connections are entered here once for all their requests. To begin and to end a wait
// touches nothing but the connection: what all requests write to, however little it is,
// costs them more than anything else where there is more than one CPU.
type departures struct {
	mu    sync.Mutex
	seats []*seat // guarded by mu

	quit chan struct{}
	done sync.WaitGroup
}

// seat is the place of one connection.
type seat struct {
	conn   net.Conn
	socket *socket.Socket // of conn, once it was looked at; belongs to look
	place  int            // in departures.seats, guarded by the mutex there; -1: it is not
	waiter atomic.Pointer[waiter]
}

// waiter is one client that waits.
type waiter struct {
	seat   *seat // nil: it is not watched
	client interface{ gone() }
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

// enter gives conn a place, until leave is called with it.
func (d *departures) enter(s *seat, conn net.Conn) {
	s.conn = conn
	d.mu.Lock()
	defer d.mu.Unlock()
	s.place = len(d.seats)
	d.seats = append(d.seats, s)
}

// leave may be called again, and then does nothing.
func (d *departures) leave(s *seat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.place < 0 {
		return
	}
	end := len(d.seats) - 1
	last := d.seats[end]
	d.seats[s.place], last.place = last, s.place
	d.seats[end] = nil
	d.seats = d.seats[:end]
	s.place = -1
}

// watch calls gone, once, if the other side hangs up before stop is called. gone must
// not block. It may still be running, but not begin, when stop returns. On one seat
// waits one client at a time. Nobody is watched whose seat is nil.
func (s *seat) watch(gone func()) *waiter {
	w := &waiter{}
	s.watchFor(w, goneFunc(gone))
	return w
}

// watchFor is watch, with memory of the caller's.
func (s *seat) watchFor(w *waiter, client interface{ gone() }) {
	w.seat, w.client = s, client
	if s != nil {
		s.waiter.Store(w)
	}
}

// stop reports whether it came in time: if not, gone is or was called. To stop again
// comes too late.
func (w *waiter) stop() (inTime bool) {
	return w.seat == nil || w.seat.waiter.CompareAndSwap(w, nil)
}

func (d *departures) close() {
	close(d.quit)
	d.done.Wait()
}

func (d *departures) run(interval time.Duration, tell func(time.Time)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var seats []*seat
	for {
		select {
		case now := <-ticker.C:
			tell(now)
			seats = d.taken(seats[:0])
			for _, s := range seats {
				s.look()
			}
			clear(seats)
		case <-d.quit:
			return
		}
	}
}

// taken appends the seats on which somebody waits.
func (d *departures) taken(seats []*seat) []*seat {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.seats {
		if s.waiter.Load() != nil {
			seats = append(seats, s)
		}
	}
	return seats
}

// look asks the kernel whether the other side is there. A connection that was closed
// here meanwhile has no client either.
func (s *seat) look() {
	w := s.waiter.Load()
	if w == nil {
		return
	}
	if s.socket == nil {
		s.socket = socket.Of(s.conn)
	}
	if s.socket.Look() == socket.Closed && s.waiter.CompareAndSwap(w, nil) {
		w.client.gone()
	}
}
