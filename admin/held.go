package admin

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"pollbridge/internal/socket"
)

// mostHeld bounds the requests that wait for events, streams among them.
const mostHeld = 1000

// look is how often the connections of held requests are looked at.
const look = 500 * time.Millisecond

var errTooManyHeld = errors.New("too many requests wait for events")

// held owns everything that waits: it ends all of it when the server stops.
type held struct {
	ctx  context.Context // ends when the server stops
	stop context.CancelFunc

	mu    sync.Mutex
	count int // guarded by mu
	all   sync.WaitGroup
}

func newHeld() *held {
	h := &held{}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// admit lets one more request wait. Its context ends when the server stops, or when the
// client at the other end of conn has hung up. The caller calls done when it no longer
// waits, and before conn can be another's.
func (h *held) admit(conn net.Conn) (ctx context.Context, done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil, nil, ErrUnavailable
	}
	if h.count >= mostHeld {
		return nil, nil, errors.Join(ErrUnavailable, errTooManyHeld)
	}
	h.count++
	h.all.Add(1)
	ctx, cancel := context.WithCancel(h.ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		untilGone(ctx, conn)
		cancel()
	}()
	return ctx, func() {
		cancel()
		<-watched
		h.mu.Lock()
		h.count--
		h.mu.Unlock()
		h.all.Done()
	}, nil
}

// number is how many requests wait now.
func (h *held) number() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// untilGone returns when the other side of conn has hung up, or when ctx ends.
func untilGone(ctx context.Context, conn net.Conn) {
	below := socket.Of(conn)
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if below.Look() == socket.Closed {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// close ends whatever waits, and waits for it, but no longer than ctx.
func (h *held) close(ctx context.Context) {
	h.mu.Lock() // so that nobody is admitted any more
	h.stop()
	h.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.all.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
