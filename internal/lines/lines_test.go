package lines_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/internal/lines"
)

// sink remembers each write on its own.
type sink struct {
	mu     sync.Mutex
	writes []string
	err    error
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, string(p))
	return len(p), s.err
}

func (s *sink) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got, want := strings.Join(s.writes, "|"), strings.Join(want, "|"); got != want {
		t.Errorf("written %q; want %q", got, want)
	}
}

func TestLinesWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out sink
		w := lines.New(&out, 100*time.Millisecond)
		w.Write([]byte("a\n"))
		time.Sleep(99 * time.Millisecond)
		w.Write([]byte("b\n"))
		out.want(t)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		out.want(t, "a\nb\n")

		w.Write([]byte("c\n"))
		w.Flush()
		out.want(t, "a\nb\n", "c\n")
		w.Flush()
		time.Sleep(time.Second)
		out.want(t, "a\nb\n", "c\n")
	})
}

func TestMuchDoesNotWait(t *testing.T) {
	var out sink
	w := lines.New(&out, time.Hour)
	line := strings.Repeat("x", 150<<10)
	w.Write([]byte(line))
	w.Write([]byte(line))
	out.want(t, line)
	w.Write([]byte(line + line)) // more than is ever gathered
	w.Flush()
	out.want(t, line, line, line+line)
}

func TestErrorsAreTold(t *testing.T) {
	out := sink{err: errors.New("disk full")}
	w := lines.New(&out, time.Hour)
	w.Write([]byte("a\n"))
	if err := w.Flush(); err != out.err {
		t.Errorf("Flush = %v; want %v", err, out.err)
	}
	if n, err := w.Write([]byte("b\n")); n != 2 || err != out.err {
		t.Errorf("Write = %d, %v; want 2, %v", n, err, out.err)
	}
}

// TestWritersDoNotWait: while lines are being written, others are gathered.
func TestWritersDoNotWait(t *testing.T) {
	out := slow{reached: make(chan struct{}, 10), open: make(chan struct{})}
	w := lines.New(&out, time.Nanosecond)
	w.Write([]byte("a\n"))
	<-out.reached // by the timer
	w.Write([]byte("b\n"))
	w.Write([]byte("c\n"))
	out.want(t)
	close(out.open)
	w.Flush()
	out.want(t, "a\n", "b\nc\n")
}
