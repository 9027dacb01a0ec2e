package proxy

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// Bounds on what is read of a request that was answered before it had come whole.
const (
	lingerSilence = 5 * time.Second
	lingerTime    = 30 * time.Second
	lingerBytes   = 64 << 20
	lingerConns   = 1000
)

// lingering are connections that were answered, and whose clients have not noticed yet.
type lingering struct {
	mu    sync.Mutex
	conns list.List // of *net.TCPConn, the oldest in front; guarded by mu
	over  bool      // nobody is waited for any more; guarded by mu
}

// linger shuts the sending side of conn, and throws away what still comes, until the
// client has closed its own side or a bound is reached. The caller closes conn.
func (l *lingering) linger(conn *net.TCPConn) {
	entry := l.enter(conn)
	if entry == nil {
		return
	}
	defer l.leave(entry)
	if conn.CloseWrite() != nil {
		return
	}
	end := time.Now().Add(lingerTime)
	buffer := make([]byte, 32<<10)
	for left := lingerBytes; left > 0 && l.extend(entry, end); {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		left -= n
	}
}

// enter returns nil if there is no waiting any more. Where too many wait, the oldest
// goes first.
func (l *lingering) enter(conn *net.TCPConn) *list.Element {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil
	}
	if l.conns.Len() >= lingerConns {
		l.endLocked(l.conns.Front())
	}
	return l.conns.PushBack(conn)
}

// endLocked ends the wait for a connection; extend then finds that it has no value.
func (l *lingering) endLocked(entry *list.Element) {
	conn := l.conns.Remove(entry).(*net.TCPConn)
	entry.Value = nil
	_ = conn.SetReadDeadline(time.Unix(1, 0))
}

// extend sets the deadline of the next read, and reports whether there is to be one.
func (l *lingering) extend(entry *list.Element, end time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn, waits := entry.Value.(*net.TCPConn)
	deadline := time.Now().Add(lingerSilence)
	if end.Before(deadline) {
		deadline = end
	}
	return waits && conn.SetReadDeadline(deadline) == nil
}

func (l *lingering) leave(entry *list.Element) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry.Value != nil {
		l.conns.Remove(entry)
	}
}

// close ends all waits, and lets no other begin.
func (l *lingering) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for l.conns.Len() > 0 {
		l.endLocked(l.conns.Front())
	}
}
