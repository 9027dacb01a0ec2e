package logqueue_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/internal/logqueue"
)

// sink is a log that can be held up or broken.
type sink struct {
	mu     sync.Mutex
	writes []string
	held   chan struct{} // writes wait until it is closed; nil: they do not
	broken error
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	held, broken := s.held, s.broken
	s.mu.Unlock()
	if held != nil {
		<-held
	}
	if broken != nil {
		return 0, broken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, string(p))
	return len(p), nil
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.writes, "")
}

func (s *sink) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

// queue makes a queue to s whose report is a line.
func queue(s *sink) (q *logqueue.Queue) {
	return logqueue.New(s, func(dropped int) { fmt.Fprintf(q, "%d dropped\n", dropped) })
}

func TestManyWriteAtOnce(t *testing.T) {
	var s sink
	q := queue(&s)
	const writers, each = 8, 1000
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			line := make([]byte, 0, 128) // used again, as loggers do
			for j := range each {
				line = fmt.Appendf(line[:0], "%d %d %s\n", i, j, strings.Repeat("x", j%100))
				if n, err := q.Write(line); n != len(line) || err != nil {
					t.Errorf("Write = %d, %v; want %d", n, err, len(line))
				}
			}
		})
	}
	writing.Wait()
	q.Close(time.Minute)
	for _, write := range s.writes {
		if len(write) > 4096 || !strings.HasSuffix(write, "\n") {
			t.Fatalf("%d bytes were written at once: %.50q…; want whole lines, of 4096 bytes at most", len(write), write)
		}
	}
	var next [writers]int
	for line := range strings.Lines(s.text()) {
		var i, j int
		if _, err := fmt.Sscanf(line, "%d %d", &i, &j); err != nil || line != fmt.Sprintf("%d %d %s\n", i, j, strings.Repeat("x", j%100)) {
			t.Fatalf("a broken line: %q", line)
		}
		if j != next[i] {
			t.Fatalf("line %d of writer %d stands where %d should", j, i, next[i])
		}
		next[i]++
	}
	if want := [writers]int{each, each, each, each, each, each, each, each}; next != want || q.Dropped() != 0 {
		t.Errorf("lines written: %v, dropped: %d; want all", next, q.Dropped())
	}
}

// TestNobodyReads: the logger goes on, a bounded number of lines waits, whole and in
// their order, and what was dropped is reported where it is missing.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sink{held: make(chan struct{})}
		q := queue(&s)
		line := strings.Repeat("x", 1023) + "\n"
		const lines = 5000
		for range lines {
			q.Write([]byte(line))
			synctest.Wait()
		}
		dropped := int(q.Dropped())
		if kept := lines - dropped; kept < 1024 || kept > 2048+8 {
			t.Errorf("%d lines of 1 KiB wait; want at least 1 MiB and at most 2", kept)
		}
		close(s.held)
		synctest.Wait()
		want := strings.Repeat(line, lines-dropped) + fmt.Sprintf("%d dropped\n", dropped)
		if s.text() != want {
			t.Errorf("%d bytes were written in the end; want %d: what waited, and one line about the %d others", len(s.text()), len(want), dropped)
		}
		fmt.Fprintln(q, "later")
		q.Close(time.Second)
		if s.text() != want+"later\n" {
			t.Errorf("then came %q; want the line that was written later", strings.TrimPrefix(s.text(), want))
		}
	})
}

// TestBroken: a log that takes nothing is tried again with each line, and one line says
// what it missed.
func TestBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sink{broken: errors.New("broken pipe")}
		q := queue(&s)
		for i := range 3 {
			fmt.Fprintln(q, "lost", i)
			synctest.Wait()
		}
		if q.Dropped() != 3 {
			t.Errorf("Dropped = %d; want 3", q.Dropped())
		}
		s.breaks(nil)
		fmt.Fprintln(q, "taken")
		synctest.Wait()
		if got, want := s.text(), "taken\n3 dropped\n"; got != want {
			t.Errorf("the log has %q; want %q", got, want)
		}
		q.Close(time.Second)
		fmt.Fprintln(q, "after the end")
		if q.Dropped() != 4 || strings.Contains(s.text(), "after") {
			t.Errorf("Dropped = %d after a line to a closed queue; want 4", q.Dropped())
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sink{held: make(chan struct{})}
		q := queue(&s)
		fmt.Fprintln(q, "stuck")
		start := time.Now()
		q.Close(time.Second)
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v; want the second that it may", took)
		}
		close(s.held)
		synctest.Wait()
		if s.text() != "stuck\n" {
			t.Errorf("the log has %q; want the line, late as it is", s.text())
		}
	})
}

func TestALineLongerThanAWrite(t *testing.T) {
	var s sink
	q := queue(&s)
	long := strings.Repeat("x", 10_000) + "\n"
	for _, line := range []string{"a\n", long, "b\n", strings.Repeat("y", 2<<20) + "\n"} {
		q.Write([]byte(line))
	}
	q.Close(time.Minute)
	if got := s.text(); got != "a\n"+long+"b\n" || q.Dropped() != 1 {
		t.Errorf("%d bytes were written and %d lines dropped; want all but the one that no queue holds", len(got), q.Dropped())
	}
}
