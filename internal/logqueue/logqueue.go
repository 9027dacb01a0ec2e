// Package logqueue puts a bounded queue between a logger and what takes its lines. The
// logger never waits: lines that nobody takes in time, or that cannot be written, are
// dropped whole, counted and reported.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// most bounds the bytes that wait in a queue.
	most = 1 << 20
	// wholeWrite is what a pipe takes whole or not at all, on Linux, so that a line that is
	// no longer is never cut, whoever else writes there and however the program ends.
	wholeWrite = 4096
)

// Queue is a writer that never blocks and never fails. It is safe for concurrent use.
// Create it with New.
type Queue struct {
	out    io.Writer
	report func(dropped int)
	done   chan struct{} // is closed when nothing is written any more

	mu         sync.Mutex
	changed    sync.Cond // of what follows, which mu guards
	waiting    []byte    // whole lines
	dropped    uint64    // lines, ever
	unreported int       // lines, since the last report
	failing    bool      // the last write failed
	closed     bool
}

// New returns a queue of lines to out. Once lines were dropped and out takes lines
// again, report is called with their number; it may write to the queue. The caller must
// Close the queue.
func New(out io.Writer, report func(dropped int)) *Queue {
	q := &Queue{out: out, report: report, done: make(chan struct{})}
	q.changed.L = &q.mu
	go q.run()
	return q
}

// Write queues a copy of line, which must be whole, or drops it.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting)+len(line) > most {
		q.drop(1)
		return len(line), nil
	}
	q.waiting = append(q.waiting, line...)
	q.changed.Signal()
	return len(line), nil
}

// Dropped is the number of lines that were dropped.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close drops what is written from now on, and waits until what was written before is
// out, but no longer than within.
func (q *Queue) Close(within time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.changed.Signal()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(within):
	}
}

// drop counts lines that are lost. The caller holds mu.
func (q *Queue) drop(lines int) {
	q.dropped += uint64(lines)
	q.unreported += lines
}

func (q *Queue) run() {
	defer close(q.done)
	var lines []byte
	for {
		var lost int
		lines, lost = q.take(lines[:0])
		if lost > 0 {
			q.report(lost) // stands behind the lines that were queued before
		}
		if len(lines) == 0 && lost == 0 {
			return
		}
		for rest := lines; len(rest) > 0; {
			n := wholeLines(rest)
			q.write(rest[:n])
			rest = rest[n:]
		}
	}
}

// take waits for lines, or for lost ones that can be reported, and leaves memory for
// those that come next. It returns neither once the queue is closed and empty.
func (q *Queue) take(memory []byte) (lines []byte, lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed && (q.failing || q.unreported == 0) {
		q.changed.Wait()
	}
	lines, q.waiting = q.waiting, memory
	if !q.failing && !q.closed {
		lost, q.unreported = q.unreported, 0
	}
	return lines, lost
}

func (q *Queue) write(lines []byte) {
	n, err := q.out.Write(lines)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failing = err != nil; q.failing {
		q.drop(bytes.Count(lines[n:], []byte("\n")))
	}
}

// wholeLines is the length of as many lines as may be written at once, or of the first
// one.
func wholeLines(lines []byte) int {
	if len(lines) <= wholeWrite {
		return len(lines)
	}
	if end := bytes.LastIndexByte(lines[:wholeWrite], '\n'); end >= 0 {
		return end + 1
	}
	if end := bytes.IndexByte(lines, '\n'); end >= 0 {
		return end + 1
	}
	return len(lines)
}
