package socket_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"pollbridge/internal/socket"
)

// pair returns two ends of a TCP connection.
func pair(t testing.TB) (here, there *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return server.(*net.TCPConn), client.(*net.TCPConn)
}

// wantState waits until conn looks so.
func wantState(t *testing.T, conn net.Conn, want socket.State) {
	t.Helper()
	var got socket.State
	for start := time.Now(); time.Since(start) < 5*time.Second; runtime.Gosched() {
		if got = socket.At(conn); got == want {
			return
		}
	}
	t.Fatalf("At = %d; want %d", got, want)
}

func TestAt(t *testing.T) {
	here, there := pair(t)
	for range 100 {
		if got := socket.At(here); got != socket.Quiet {
			t.Fatalf("a new connection: At = %d; want Quiet", got)
		}
	}
	if _, err := there.Write([]byte("GET")); err != nil {
		t.Fatal(err)
	}
	wantState(t, here, socket.Data)
	for range 100 {
		if got := socket.At(here); got != socket.Data {
			t.Fatalf("with bytes to read: At = %d; want Data", got)
		}
	}
	buffer := make([]byte, 10)
	if n, err := here.Read(buffer); err != nil || string(buffer[:n]) != "GET" {
		t.Errorf("after looking, Read = %q, %v; want all of it", buffer[:n], err)
	}
	wantState(t, here, socket.Quiet)
}

// TestLookingLeavesReadersAlone: somebody may wait in Read meanwhile.
func TestLookingLeavesReadersAlone(t *testing.T) {
	here, there := pair(t)
	read := make(chan string)
	go func() {
		buffer := make([]byte, 10)
		n, err := here.Read(buffer)
		if err != nil {
			t.Error(err)
		}
		read <- string(buffer[:n])
	}()
	for range 1000 {
		if got := socket.At(here); got != socket.Quiet {
			t.Fatalf("At = %d; want Quiet", got)
		}
	}
	there.Write([]byte("hello"))
	if got := <-read; got != "hello" {
		t.Errorf("the reader got %q; want hello", got)
	}
}

func TestClosed(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(there *net.TCPConn) error
	}{
		{"close", (*net.TCPConn).Close},
		{"half-close", (*net.TCPConn).CloseWrite},
		{"reset", func(there *net.TCPConn) error { there.SetLinger(0); return there.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			here, there := pair(t)
			if err := c.end(there); err != nil {
				t.Fatal(err)
			}
			wantState(t, here, socket.Closed)
			if got := socket.At(here); got != socket.Closed {
				t.Errorf("at the second look: At = %d; want Closed", got)
			}
		})
	}
}

func TestClosedHere(t *testing.T) {
	here, _ := pair(t)
	here.Close()
	if got := socket.At(here); got != socket.Closed {
		t.Errorf("At = %d; want Closed", got)
	}
}

// TestDataBeforeTheEnd: what was sent before the other side hung up is there still.
func TestDataBeforeTheEnd(t *testing.T) {
	here, there := pair(t)
	there.Write([]byte("bye"))
	there.Close()
	wantState(t, here, socket.Data)
	if text, err := io.ReadAll(here); err != nil || string(text) != "bye" {
		t.Errorf("read %q, %v; want bye", text, err)
	}
	wantState(t, here, socket.Closed)
}

// wrapped has an inner connection, as connections of a middleware do.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

func TestBelowTLS(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	here, there := pair(t)
	server := tls.Server(here, &tls.Config{Certificates: s.TLS.Certificates})
	client := tls.Client(there, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	wantState(t, server, socket.Quiet)
	wantState(t, wrapped{wrapped{server}}, socket.Quiet)
	client.Write([]byte("hello"))
	wantState(t, server, socket.Data)
	buffer := make([]byte, 10)
	if n, err := server.Read(buffer); err != nil || string(buffer[:n]) != "hello" {
		t.Errorf("after looking, Read = %q, %v; want hello", buffer[:n], err)
	}
	wantState(t, server, socket.Quiet)
	there.Close()
	wantState(t, server, socket.Closed)
}

func TestNoSocket(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	for _, conn := range []net.Conn{here, wrapped{here}, tls.Client(here, &tls.Config{})} {
		if got := socket.At(conn); got != socket.Unknown {
			t.Errorf("At = %d; want Unknown", got)
		}
	}
}

func TestLookingAllocatesLittle(t *testing.T) {
	here, _ := pair(t)
	if n := testing.AllocsPerRun(100, func() { socket.At(here) }); n > 4 {
		t.Errorf("a look makes %v allocations; want at most 4", n)
	}
}
