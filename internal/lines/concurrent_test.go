package lines_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/lines"
)

// TestManyWriteAtOnce: each line is there once and whole, those of one writer in their
// order, though timers, full buffers and flushes all write.
func TestManyWriteAtOnce(t *testing.T) {
	var out sink
	w := lines.New(&out, 50*time.Microsecond)
	const writers, each = 8, 1000
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			line := make([]byte, 0, 128) // used again, as loggers do
			for j := range each {
				line = fmt.Appendf(line[:0], "%d %d %s\n", i, j, strings.Repeat("x", j%100))
				if n, err := w.Write(line); n != len(line) || err != nil {
					t.Errorf("Write = %d, %v; want %d", n, err, len(line))
				}
				if j%97 == 0 {
					w.Flush()
				}
			}
		})
	}
	writing.Wait()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	var next [writers]int
	for line := range strings.Lines(strings.Join(out.writes, "")) {
		var i, j int
		if _, err := fmt.Sscanf(line, "%d %d", &i, &j); err != nil || i >= writers || line != fmt.Sprintf("%d %d %s\n", i, j, strings.Repeat("x", j%100)) {
			t.Fatalf("a broken line: %q", line)
		}
		if j != next[i] {
			t.Fatalf("line %d of writer %d stands where %d should", j, i, next[i])
		}
		next[i]++
	}
	for i, n := range next {
		if n != each {
			t.Errorf("writer %d: %d lines are there; want %d", i, n, each)
		}
	}
	if len(out.writes) >= writers*each {
		t.Errorf("%d writes for %d lines: nothing was gathered", len(out.writes), writers*each)
	}
}

// slow is a sink that lets nobody go on until it is opened.
type slow struct {
	sink
	reached chan struct{}
	open    chan struct{}
}

func (s *slow) Write(p []byte) (int, error) {
	s.reached <- struct{}{}
	<-s.open
	return s.sink.Write(p)
}

// TestFlushWaitsForTheTimer: after Flush has returned, nothing is still being written.
func TestFlushWaitsForTheTimer(t *testing.T) {
	out := slow{reached: make(chan struct{}, 10), open: make(chan struct{})}
	w := lines.New(&out, time.Nanosecond)
	w.Write([]byte("a\n"))
	<-out.reached // by the timer
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		w.Flush()
		out.want(t, "a\n")
	}()
	select {
	case <-flushed:
		t.Error("Flush has returned while a line is being written")
	case <-time.After(10 * time.Millisecond):
	}
	close(out.open)
	<-flushed
}
