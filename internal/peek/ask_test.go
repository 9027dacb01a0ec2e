//go:build unix

package peek_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"pollbridge/internal/peek"
)

// TestAsk asks often enough that an answer comes at every moment: one that nobody was
// told of would be waited for until the deadline.
func TestAsk(t *testing.T) {
	here, there := pair(t)
	go func() {
		buffer := make([]byte, 10)
		for {
			n, err := there.Read(buffer)
			if err != nil {
				return
			}
			there.Write(buffer[:n])
		}
	}()
	socket := peek.Of(here)
	answer := make([]byte, 10)
	for i := range 20000 {
		here.SetDeadline(time.Now().Add(5 * time.Second))
		sent, got, err := socket.Ask([]byte("hello"), answer)
		if sent != 5 || string(answer[:got]) != "hello" || err != nil {
			t.Fatalf("question %d: Ask = %d, %q, %v; want 5, hello, nil", i, sent, answer[:got], err)
		}
	}
}

func TestAskOnlyWhereItIsQuiet(t *testing.T) {
	for name, prepare := range map[string]func(there *net.TCPConn) peek.State{
		"data":       func(there *net.TCPConn) peek.State { there.Write([]byte("x")); return peek.Data },
		"close":      func(there *net.TCPConn) peek.State { there.Close(); return peek.Closed },
		"half-close": func(there *net.TCPConn) peek.State { there.CloseWrite(); return peek.Closed },
	} {
		here, there := pair(t)
		wantState(t, here, prepare(there))
		sent, got, err := peek.Of(here).Ask([]byte("hello"), make([]byte, 10))
		if sent != 0 || got != 0 || err != peek.ErrNotQuiet {
			t.Errorf("%s: Ask = %d, %d, %v; want 0, 0, %v", name, sent, got, err, peek.ErrNotQuiet)
		}
		here.Close()
		if all, _ := io.ReadAll(there); len(all) > 0 {
			t.Errorf("%s: %q was sent", name, all)
		}
	}
}

// TestAskTooMuch: what the kernel does not take is left to the caller.
func TestAskTooMuch(t *testing.T) {
	here, _ := pair(t)
	question := make([]byte, 64<<20)
	sent, got, err := peek.Of(here).Ask(question, make([]byte, 10))
	if sent == 0 || sent == len(question) || got != 0 || err != nil {
		t.Errorf("Ask = %d, %d, %v; want a part of the question", sent, got, err)
	}
}

func TestAskEnds(t *testing.T) {
	here, there := pair(t)
	socket := peek.Of(here)
	here.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if sent, _, err := socket.Ask([]byte("hello"), make([]byte, 10)); sent != 5 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silence: Ask = %d, %v; want 5 and a timeout", sent, err)
	}
	here.SetDeadline(time.Time{})
	time.AfterFunc(10*time.Millisecond, func() { there.CloseWrite() })
	if sent, _, err := socket.Ask([]byte("hello"), make([]byte, 10)); sent != 5 || err != io.EOF {
		t.Errorf("the other side hangs up: Ask = %d, %v; want 5, EOF", sent, err)
	}

	here, _ = pair(t)
	time.AfterFunc(10*time.Millisecond, func() { here.Close() })
	if _, _, err := peek.Of(here).Ask([]byte("hello"), make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed here: Ask = %v; want %v", err, net.ErrClosed)
	}
}

func TestAskWithoutSocket(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	if sent, got, err := peek.Of(here).Ask([]byte("hello"), nil); sent != 0 || got != 0 || err != nil {
		t.Errorf("Ask = %d, %d, %v; want nothing done", sent, got, err)
	}
}
