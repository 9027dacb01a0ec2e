// Package lines gathers what is written for a moment, so that many lines cost one
// system call. A line waits no longer than the delay; what is written when the process
// is killed is lost with it.
package lines

import (
	"io"
	"sync"
	"time"
)

// full is the size in bytes at which lines are written without waiting longer.
const full = 32 << 10

// Writer gathers writes. It is safe for concurrent use. Create it with New.
type Writer struct {
	delay time.Duration

	mu      sync.Mutex
	out     io.Writer // guarded by mu, like all below
	waiting []byte
	timer   *time.Timer // runs while something waits
	failed  error       // of the last write to out
}

// New returns a writer to out. After the last Write the caller must call Flush.
func New(out io.Writer, delay time.Duration) *Writer {
	w := &Writer{out: out, delay: delay, waiting: make([]byte, 0, full)}
	w.timer = time.AfterFunc(delay, func() { _ = w.Flush() })
	w.timer.Stop()
	return w
}

// Write keeps a copy of p. The error is that of an earlier line.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting)+len(p) > full {
		w.flushLocked()
	}
	if len(w.waiting) == 0 {
		w.timer.Reset(w.delay)
	}
	w.waiting = append(w.waiting, p...)
	return len(p), w.failed
}

// Flush writes what waits. It blocks as long as the writer below does.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushLocked()
	return w.failed
}

func (w *Writer) flushLocked() {
	if len(w.waiting) == 0 {
		return
	}
	w.timer.Stop()
	_, w.failed = w.out.Write(w.waiting)
	w.waiting = w.waiting[:0]
}
