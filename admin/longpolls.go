package admin

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"pollbridge/internal/socket"
)

// maxLongPolls bounds the requests that wait for events, streams among them.
const maxLongPolls = 1000

// connectionCheck is how often the connections of long-polls are looked at.
const connectionCheck = 500 * time.Millisecond

var errTooManyLongPolls = errors.New("too many requests wait for events")

// longPolls owns the requests that wait for events: it ends all of them when the server
// stops.
type longPolls struct {
	ctx  context.Context // ends when the server stops
	stop context.CancelFunc

	mu    sync.Mutex
	count int // guarded by mu
	all   sync.WaitGroup
}

func newLongPolls() *longPolls {
	l := &longPolls{}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// admit lets one more request wait. Its context ends when the server stops, or when the
// client at the other end of conn has hung up. The caller calls done when it no longer
// waits, and before conn can be another's.
func (l *longPolls) admit(conn net.Conn) (ctx context.Context, done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return nil, nil, ErrUnavailable
	}
	if l.count >= maxLongPolls {
		return nil, nil, errors.Join(ErrUnavailable, errTooManyLongPolls)
	}
	l.count++
	l.all.Add(1)
	ctx, cancel := context.WithCancel(l.ctx)
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		waitForDisconnect(ctx, conn)
		cancel()
	}()
	return ctx, func() {
		cancel()
		<-looking
		l.mu.Lock()
		l.count--
		l.mu.Unlock()
		l.all.Done()
	}, nil
}

// number is how many requests wait now.
func (l *longPolls) number() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// waitForDisconnect returns when the other side of conn has hung up, or when ctx ends.
func waitForDisconnect(ctx context.Context, conn net.Conn) {
	below := socket.Of(conn)
	ticker := time.NewTicker(connectionCheck)
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

// close ends all of them and waits for that, but no longer than ctx.
func (l *longPolls) close(ctx context.Context) {
	l.mu.Lock() // so that nobody is admitted any more
	l.stop()
	l.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.all.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
