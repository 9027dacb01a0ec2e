// Package lines gathers what is written for a moment, so that many lines cost one
// system call. A line waits no longer than the delay; what is written when the process
// is killed is lost with it.
package lines

import (
	"io"
	"sync"
	"time"
)

// full is the size in bytes at which lines are written without waiting longer. A write
// takes long enough for the scheduler to pay attention to it, and then to everything
// else for ten milliseconds, so there should not be a hundred of them a second.
const full = 256 << 10

// Writer gathers writes. It is safe for concurrent use. Create it with New.
type Writer struct {
	delay time.Duration

	turn sync.Mutex // is held while something is written to out, and taken before mu
	out  io.Writer  // guarded by turn

	mu      sync.Mutex
	waiting []byte // guarded by mu, like all below
	spare   []byte // memory for waiting, while that is written
	timer   *time.Timer
	failed  error // of the last write to out
}

// New returns a writer to out. After the last Write the caller must call Flush.
func New(out io.Writer, delay time.Duration) *Writer {
	w := &Writer{delay: delay, out: out}
	w.timer = time.AfterFunc(delay, func() { _ = w.Flush() })
	w.timer.Stop()
	return w
}

// Write keeps a copy of p. It blocks only when as much waits as may: until that is
// written. The error is that of an earlier line.
func (w *Writer) Write(p []byte) (int, error) {
	for {
		if kept, err := w.keep(p); kept {
			return len(p), err
		}
		_ = w.Flush()
	}
}

// keep reports whether there was room for p.
func (w *Writer) keep(p []byte) (kept bool, earlier error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		w.timer.Reset(w.delay)
	} else if len(w.waiting)+len(p) > full {
		return false, nil
	}
	w.waiting = append(w.waiting, p...)
	return true, w.failed
}

// Flush writes what waits. It blocks as long as the writer below does, and returns
// when nothing is being written any more.
func (w *Writer) Flush() error {
	w.turn.Lock()
	defer w.turn.Unlock()
	if lines := w.take(); len(lines) > 0 {
		_, err := w.out.Write(lines)
		w.giveBack(lines, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// take returns what waits. The caller holds the turn.
func (w *Writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 { // and the timer may not even be known yet
		return nil
	}
	w.timer.Stop()
	lines := w.waiting
	w.waiting, w.spare = w.spare, nil
	return lines
}

// giveBack returns the memory of lines that were written.
func (w *Writer) giveBack(lines []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
	if cap(lines) <= 2*full { // a single line may have been longer
		w.spare = lines[:0]
	}
}
