package proxy

import (
	"io"
	"net"
	"sync"
	"time"
)

// clientBody is the body of a request on its way to the upstream. It borrows the
// engine's stream, which is the engine's again once Close has returned; the
// transport that reads it may still be doing so when the answer is already there.
type clientBody struct {
	begun  []byte    // what was read before
	stream io.Reader // nil when there is nothing more
	conn   net.Conn

	reading sync.Mutex // held while stream is read
	mu      sync.Mutex
	closed  bool // guarded by mu
	ended   bool // guarded by reading: there is nothing more to be read
}

// Read gives each read as long as a whole request may otherwise take: one deadline
// for all of it would end long uploads.
func (b *clientBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if len(b.begun) > 0 {
		n := copy(p, b.begun)
		b.begun = b.begun[n:]
		return n, nil
	}
	if b.stream == nil || b.ended {
		b.ended = true
		return 0, io.EOF
	}
	if !b.extendDeadline() {
		return 0, io.ErrClosedPipe
	}
	n, err := b.stream.Read(p)
	if err == nil {
		return n, nil
	}
	b.ended = true
	switch {
	case err == io.EOF:
		return n, io.EOF
	case b.isClosed():
		return n, io.ErrClosedPipe // the reader's own doing
	}
	return n, errBrokenBody
}

func (b *clientBody) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// extendDeadline reports whether reading may go on.
func (b *clientBody) extendDeadline() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.closed && b.conn.SetReadDeadline(time.Now().Add(readTimeout)) == nil
}

// Close ends reading, also one that is under way.
func (b *clientBody) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	if b.reading.TryLock() {
		b.reading.Unlock()
		return nil
	}
	_ = b.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader up; the connection is of no further use
	b.reading.Lock()
	defer b.reading.Unlock()
	return nil
}
