package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"pollbridge/internal/socket"
)

// echo sends back what comes on there, until that ends.
func echo(there net.Conn) {
	buffer := make([]byte, 10)
	for {
		n, err := there.Read(buffer)
		if err != nil {
			return
		}
		there.Write(buffer[:n])
	}
}

// TestAsk asks often enough that an answer comes at every moment: one that nobody was
// told of would be waited for until the deadline.
func TestAsk(t *testing.T) {
	plain, there := pair(t)
	go echo(there)
	here := socket.NewConn(plain)
	answer := make([]byte, 10)
	for i := range 20000 {
		here.SetDeadline(time.Now().Add(5 * time.Second))
		n, err := here.Ask([]byte("hello"), answer)
		if string(answer[:n]) != "hello" || err != nil {
			t.Fatalf("question %d: Ask = %q, %v; want hello, nil", i, answer[:n], err)
		}
	}
}

func TestAskOnlyWhereItIsQuiet(t *testing.T) {
	for name, prepare := range map[string]func(there *net.TCPConn) socket.State{
		"data":       func(there *net.TCPConn) socket.State { there.Write([]byte("x")); return socket.Data },
		"close":      func(there *net.TCPConn) socket.State { there.Close(); return socket.Closed },
		"half-close": func(there *net.TCPConn) socket.State { there.CloseWrite(); return socket.Closed },
	} {
		here, there := pair(t)
		wantState(t, here, prepare(there))
		if n, err := socket.NewConn(here).Ask([]byte("hello"), make([]byte, 10)); n != 0 || err != socket.ErrNotQuiet {
			t.Errorf("%s: Ask = %d, %v; want 0, %v", name, n, err, socket.ErrNotQuiet)
		}
		here.Close()
		if all, _ := io.ReadAll(there); len(all) > 0 {
			t.Errorf("%s: %q was sent", name, all)
		}
	}
}

// TestMuch is for what the kernel does not take at once.
func TestMuch(t *testing.T) {
	much := bytes.Repeat([]byte("0123456789abcde"), 1<<20)
	for name, send := range map[string]func(c *socket.Conn) error{
		"a question": func(c *socket.Conn) error {
			answer := make([]byte, 10)
			n, err := c.Ask(much, answer)
			if string(answer[:n]) != "all" {
				t.Errorf("the answer is %q; want all", answer[:n])
			}
			return err
		},
		"a large write": func(c *socket.Conn) error {
			n, err := c.Write(much)
			if n != len(much) {
				t.Errorf("Write = %d; want %d", n, len(much))
			}
			return err
		},
		"many small writes": func(c *socket.Conn) error {
			for part := range slices.Chunk(much, 1001) {
				if n, err := c.Write(part); n != len(part) || err != nil {
					t.Errorf("Write = %d, %v; want %d, nil", n, err, len(part))
					return err
				}
			}
			return nil
		},
	} {
		plain, there := pair(t)
		there.SetDeadline(time.Now().Add(time.Minute))
		read := make(chan []byte, 1)
		go func() {
			from := socket.NewConn(there)
			all := make([]byte, len(much))
			io.ReadFull(from, all)
			from.Write([]byte("all"))
			read <- all
		}()
		if err := send(socket.NewConn(plain)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(<-read, much) {
			t.Errorf("%s: something else was sent", name)
		}
	}
}

// TestEnds: whatever ends a call, the error is that of package net.
func TestEnds(t *testing.T) {
	soon := 10 * time.Millisecond
	for _, c := range []struct {
		name string
		end  func(here, there *net.TCPConn)
		want error
	}{
		{"silence", func(here, there *net.TCPConn) { here.SetDeadline(time.Now().Add(soon)) }, os.ErrDeadlineExceeded},
		{"the other side hangs up", func(here, there *net.TCPConn) { time.AfterFunc(soon, func() { there.CloseWrite() }) }, io.EOF},
		{"a reset", func(here, there *net.TCPConn) {
			there.SetLinger(0)
			time.AfterFunc(soon, func() { there.Close() })
		}, syscall.ECONNRESET},
		{"closed here", func(here, there *net.TCPConn) { time.AfterFunc(soon, func() { here.Close() }) }, net.ErrClosed},
	} {
		for how, read := range map[string]func(*socket.Conn, []byte) (int, error){
			"Read": func(c *socket.Conn, p []byte) (int, error) { return c.Read(p) },
			"Ask":  func(c *socket.Conn, p []byte) (int, error) { return c.Ask([]byte("hello"), p) },
		} {
			plain, there := pair(t)
			c.end(plain, there)
			got, gotErr := read(socket.NewConn(plain), make([]byte, 10))
			if got != 0 || !errors.Is(gotErr, c.want) {
				t.Errorf("%s: %s = %d, %v; want 0, %v", c.name, how, got, gotErr, c.want)
			}
			if again, err := plain.Read(make([]byte, 10)); again != 0 || c.want != syscall.ECONNRESET && !sameText(err, gotErr) {
				t.Errorf("%s: after %s, the connection of package net says %v; want %v", c.name, how, err, gotErr)
			}
		}
	}
}

func sameText(a, b error) bool { return a != nil && b != nil && a.Error() == b.Error() }

// TestWriteEnds: so, too, where nobody reads.
func TestWriteEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(here, there *net.TCPConn)
		want error
	}{
		"nobody reads": {func(here, there *net.TCPConn) { here.SetDeadline(time.Now().Add(10 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		"closed here":  {func(here, there *net.TCPConn) { here.Close() }, net.ErrClosed},
		"closed there": {func(here, there *net.TCPConn) { there.SetLinger(0); there.Close() }, syscall.EPIPE},
	} {
		plain, there := pair(t)
		c.end(plain, there)
		here := socket.NewConn(plain)
		var err error
		written := 0
		for start := time.Now(); err == nil && time.Since(start) < time.Minute; {
			var n int
			n, err = here.Write(make([]byte, 10_001))
			written += n
		}
		if !errors.Is(err, c.want) && !(c.want == syscall.EPIPE && errors.Is(err, syscall.ECONNRESET)) {
			t.Errorf("%s: Write after %d bytes: %v; want %v", name, written, err, c.want)
		}
		if operation, ok := errors.AsType[*net.OpError](err); !ok || operation.Op != "write" || operation.Net != "tcp" {
			t.Errorf("%s: Write: %#v; want an error of writing to tcp", name, err)
		}
	}
}

// TestNothing is for calls with no memory.
func TestNothing(t *testing.T) {
	here, _ := pair(t)
	c := socket.NewConn(here)
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("Read(nil) = %d, %v; want 0, nil", n, err)
	}
	if n, err := c.Write(nil); n != 0 || err != nil {
		t.Errorf("Write(nil) = %d, %v; want 0, nil", n, err)
	}
}

// TestReadingWhileWriting: both directions go on side by side.
func TestReadingWhileWriting(t *testing.T) {
	plain, there := pair(t)
	go echo(there)
	here := socket.NewConn(plain)
	here.SetDeadline(time.Now().Add(time.Minute))
	sent := make(chan error, 1)
	go func() {
		for range 20000 {
			if _, err := here.Write([]byte("0123456789")); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	got, err := io.ReadAll(io.LimitReader(here, 200_000))
	if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("0123456789"), 20000)) {
		t.Errorf("read %d bytes, %v; want what was written", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestWrapOnlySockets(t *testing.T) {
	plain, _ := pair(t)
	if _, ok := socket.Wrap(plain).(*socket.Conn); !ok {
		t.Error("a TCP connection is left as it was")
	}
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	if got := socket.Wrap(here); got != here {
		t.Errorf("Wrap of a pipe = %T; want the pipe", got)
	}
}

func BenchmarkEcho(b *testing.B) {
	for name, wrap := range map[string]func(*net.TCPConn) net.Conn{
		"net":    func(c *net.TCPConn) net.Conn { return c },
		"socket": func(c *net.TCPConn) net.Conn { return socket.NewConn(c) },
	} {
		b.Run(name, func(b *testing.B) {
			plain, there := pair(b)
			go echo(there)
			here := wrap(plain)
			b.ReportAllocs()
			buffer := make([]byte, 10)
			for b.Loop() {
				here.Write(buffer)
				here.Read(buffer)
			}
		})
	}
}

func TestReadAndWriteAllocateNothing(t *testing.T) {
	plain, there := pair(t)
	go echo(there)
	here := socket.NewConn(plain)
	buffer := make([]byte, 10)
	if n := testing.AllocsPerRun(1000, func() {
		here.Write(buffer)
		here.Read(buffer)
		here.Ask(buffer, buffer)
	}); n > 0 {
		t.Errorf("reading, writing and asking make %v allocations; want none", n)
	}
}
