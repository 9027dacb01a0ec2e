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
	for left := lingerBytes; left > 0; {
		deadline := time.Now().Add(lingerSilence)
		if end.Before(deadline) {
			deadline = end
		}
		if conn.SetReadDeadline(deadline) != nil {
			return
		}
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
		oldest := l.conns.Remove(l.conns.Front()).(*net.TCPConn)
		oldest.Close() // which ends reading it
	}
	return l.conns.PushBack(conn)
}

func (l *lingering) leave(entry *list.Element) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns.Remove(entry) // unless another took its place
}

// close ends all waits, and lets no other begin.
func (l *lingering) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for e := l.conns.Front(); e != nil; e = e.Next() {
		e.Value.(*net.TCPConn).Close()
	}
}
