package admin

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"pollbridge/internal/hangup"
)

// maxLongPolls bounds the requests that wait for events, streams among them.
const maxLongPolls = 1000

// connectionCheck is how often the connections of long-polls are looked at.
const connectionCheck = 500 * time.Millisecond

var errTooManyLongPolls = errors.New("too many requests wait for events")

// longPolls owns the requests that wait for events: it ends all of them when the server
// stops.
type longPolls struct {
	ctx     context.Context // ends when the server stops
	stop    context.CancelFunc
	hangups *hangup.Watcher
	room    *semaphore.Weighted
	number  atomic.Int64 // of those that wait now
}

func newLongPolls() *longPolls {
	l := &longPolls{hangups: hangup.New(connectionCheck), room: semaphore.NewWeighted(maxLongPolls)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// admit lets one more request wait. Its context ends when the server stops, or when the
// client at the other end of conn has hung up. The caller calls done when it no longer
// waits, and before conn can be another's.
func (l *longPolls) admit(conn net.Conn) (ctx context.Context, done func(), err error) {
	if l.ctx.Err() != nil {
		return nil, nil, ErrUnavailable
	}
	if !l.room.TryAcquire(1) {
		return nil, nil, errors.Join(ErrUnavailable, errTooManyLongPolls)
	}
	l.number.Add(1)
	ctx, cancel := context.WithCancel(l.ctx)
	forget := l.hangups.Watch(conn, cancel)
	return ctx, func() {
		forget()
		cancel()
		l.number.Add(-1)
		l.room.Release(1)
	}, nil
}

// close ends all of them and waits for that, but no longer than ctx. No more are admitted.
func (l *longPolls) close(ctx context.Context) {
	l.stop()
	_ = l.room.Acquire(ctx, maxLongPolls)
	l.hangups.Close()
}
