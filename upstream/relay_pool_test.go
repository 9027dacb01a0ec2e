package upstream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// relayPeer is a pool and the other ends of its connections.
func relayPeer(t *testing.T, most int, patience time.Duration) (*relayPool, chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 100)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	})
	pool := &relayPool{dialer: &dialer{address: listener.Addr().String(), timeout: 5 * time.Second}, patience: patience, most: most}
	t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
		for len(accepted) > 0 {
			(<-accepted).Close()
		}
		pool.closeIdle(0)
	})
	return pool, accepted
}

func mustGet(t *testing.T, p *relayPool) *relayConn {
	t.Helper()
	conn, err := p.get(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantOpen tells whether conn was closed on this side.
func wantOpen(t *testing.T, what string, conn *relayConn, open bool) {
	t.Helper()
	err := conn.Conn.SetDeadline(time.Now().Add(time.Minute))
	if got := !errors.Is(err, net.ErrClosed); got != open {
		t.Errorf("%s: open is %t; want %t", what, got, open)
	}
}

func TestRelayPoolKeepsTheFreshest(t *testing.T) {
	p, _ := relayPeer(t, 2, time.Minute)
	first, second, third := mustGet(t, p), mustGet(t, p), mustGet(t, p)
	for _, conn := range []*relayConn{first, second, third} {
		p.put(conn)
	}
	wantOpen(t, "one more than may be kept", third, false)
	if got := mustGet(t, p); got != second {
		t.Error("the freshest is not used first")
	}
	p.put(second)

	second.idle = time.Now().Add(-relayIdle)
	if got := mustGet(t, p); got != first {
		t.Error("one that was idle for too long is used")
	}
	wantOpen(t, "idle for too long", second, false)

	first.made = time.Now().Add(-connectionAge)
	p.put(first)
	if got := mustGet(t, p); got == first {
		t.Error("one that is too old is used")
	} else {
		got.Close()
	}
	wantOpen(t, "too old", first, false)
}

func TestRelayPoolClosesWhatIsIdle(t *testing.T) {
	p, _ := relayPeer(t, 10, time.Minute)
	old, fresh := mustGet(t, p), mustGet(t, p)
	p.put(old)
	p.put(fresh)
	old.idle = time.Now().Add(-time.Hour)
	p.closeIdle(relayIdle)
	wantOpen(t, "idle for an hour", old, false)
	wantOpen(t, "idle for a moment", fresh, true)
	p.closeIdle(0)
	wantOpen(t, "when all shall go", fresh, false)
	if len(p.idle) != 0 {
		t.Errorf("%d are kept; want none", len(p.idle))
	}
}

// TestRelayPatience is for silence, however long an answer takes in all, and however
// long a connection was idle before.
func TestRelayPatience(t *testing.T) {
	const patience = 400 * time.Millisecond
	p, accepted := relayPeer(t, 10, patience)
	conn := mustGet(t, p)
	there := <-accepted
	defer there.Close()
	for round := range 2 {
		go func() {
			pace := time.NewTicker(patience / 5)
			defer pace.Stop()
			for range 10 { // twice the patience in all
				there.Write([]byte("x"))
				<-pace.C
			}
		}()
		if n, err := io.ReadFull(conn.in, make([]byte, 10)); err != nil {
			t.Fatalf("round %d: after %d bytes: %v", round, n, err)
		}
		p.put(conn)
		<-time.After(time.Until(conn.deadline) + time.Millisecond) // of the exchange that is over
		if again := mustGet(t, p); again != conn {
			t.Fatal("the connection is not used again")
		}
	}
	start := time.Now()
	if _, err := conn.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silence ends with %v; want a timeout", err)
	}
	if took := time.Since(start); took < patience/2 {
		t.Errorf("silence was borne for %v; want %v", took, patience)
	}
	conn.Close()
}

// TestRelayAsksInParts is for requests that the kernel does not take at once.
func TestRelayAsksInParts(t *testing.T) {
	p, accepted := relayPeer(t, 10, time.Minute)
	p.put(mustGet(t, p))
	conn := mustGet(t, p)
	there := <-accepted
	conn.request = make([]byte, 64<<20)
	for i := range conn.request {
		conn.request[i] = byte(i % 251)
	}
	read := make(chan []byte, 1)
	go func() {
		all := make([]byte, len(conn.request))
		io.ReadFull(there, all)
		there.Write([]byte("answer"))
		read <- all
	}()
	if err := conn.ask(); err != nil {
		t.Fatal(err)
	}
	if all := <-read; !bytes.Equal(all, conn.request) {
		t.Error("something else was sent")
	}
	if start, err := conn.in.Peek(len("answer")); string(start) != "answer" || err != nil {
		t.Errorf("the answer begins with %q, %v", start, err)
	}
	conn.in.Discard(len("answer"))
	p.put(conn)
	if conn.request != nil {
		t.Error("memory for a large request is kept")
	}
}
