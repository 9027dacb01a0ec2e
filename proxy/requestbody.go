package proxy

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
)

// requestBody is the body of a request on its way to the upstream. It borrows the
// engine's stream, which is the engine's again once Close has returned; the
// transport that reads it may still be doing so when the answer is already there.
type requestBody struct {
	conn *clientConn

	reading sync.Mutex // held while the body is read; guards what follows
	begun   []byte     // what was read before
	stream  io.Reader
	left    int // bytes still to come; negative if that is not known
	start   time.Time
	taken   int   // bytes that have come
	ended   error // that the stream has ended with: io.EOF, if it came whole

	closed atomic.Bool
}

// newRequestBody is for a body of length bytes, or of an unknown length if that is
// negative, of which begun has been read.
func newRequestBody(c *fiber.Ctx, begun []byte, length int) *requestBody {
	return &requestBody{start: time.Now(), conn: connOf(c), begun: begun, stream: bodyStream(c), left: length}
}

// Bounds on slow uploads: whoever stays slower than this would only keep others from
// being served.
const (
	uploadGrace   = 30 * time.Second
	slowestUpload = 4 << 10 // bytes a second, on the average
)

// Read gives each read as long as a whole request may otherwise take: one deadline
// for all of it would end long uploads. Only uploads that hardly move are ended.
func (b *requestBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	n, err := b.readLocked(p)
	b.taken += n
	if b.left >= 0 {
		b.left -= n
	}
	if err == io.EOF && b.left > 0 { // the engine does not mind
		err = errBrokenBody
	}
	return n, err
}

func (b *requestBody) readLocked(p []byte) (int, error) {
	if b.closed.Load() { // what was read before may be another request's by now
		return 0, io.ErrClosedPipe
	}
	if len(b.begun) > 0 {
		n := copy(p, b.begun)
		b.begun = b.begun[n:]
		return n, nil
	}
	if b.ended != nil {
		return 0, io.EOF
	}
	b.extendDeadline()
	n, err := b.stream.Read(p)
	b.ended = err
	switch {
	case err == nil, err == io.EOF:
		return n, err
	case b.closed.Load():
		return n, io.ErrClosedPipe // the reader's own doing
	}
	return n, brokenBody(err)
}

// brokenBody is the error of a body that did not come, or not in time.
func brokenBody(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlowBody
	case errors.Is(err, errBareLF):
		return errBareLF
	}
	return errBrokenBody
}

func (b *requestBody) extendDeadline() {
	deadline := time.Now().Add(readTimeout)
	last := b.start.Add(uploadGrace + time.Duration(b.taken/slowestUpload)*time.Second)
	if last.Before(deadline) {
		deadline = last
	}
	_ = b.conn.SetReadDeadline(deadline) // never fails
}

// Close ends reading, also one that is under way. The connection remembers whether the
// client may still be sending.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	if !b.reading.TryLock() {
		b.conn.interrupt()
		b.reading.Lock()
	}
	defer b.reading.Unlock()
	if b.ended != io.EOF && b.left != 0 {
		b.conn.unread.Store(true)
	}
	return nil
}
