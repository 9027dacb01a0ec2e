// Package accept keeps a listener serving through errors that pass.
package accept

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Bounds on how long is waited before the next try.
const (
	shortestWait = 5 * time.Millisecond
	longestWait  = time.Second
)

// Retrying returns a listener whose Accept waits and tries again where the error is
// one that passes, such as too many open files; it fails only when ln was closed. The
// first of such errors in a row is logged.
func Retrying(ln net.Listener, log *slog.Logger) net.Listener {
	return &listener{Listener: ln, log: log, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	log    *slog.Logger
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	wait := shortestWait
	for failed := false; ; failed = true {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		if !failed {
			l.log.Warn("connections cannot be accepted for the moment", "listener", l.Addr().String(), "error", err)
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, longestWait)
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
