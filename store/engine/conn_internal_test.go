package engine

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// TestServerThatReadsNothing: whoever writes does not wait for it; what was written comes when it
// reads again, whole and in order, also where the connection is closed meanwhile.
func TestServerThatReadsNothing(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	c := newQueuedConn(client)
	var want []byte
	for n := range 20 {
		piece := bytes.Repeat([]byte{byte(n)}, 40<<10)
		testkit.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Millisecond))) // as the client does
		if written, err := c.Write(piece); written != len(piece) || err != nil {
			t.Fatalf("Write = %d, %v", written, err)
		}
		want = append(want, piece...)
	}
	got := make(chan []byte)
	go func() {
		read, _ := io.ReadAll(server)
		got <- read
	}()
	testkit.NoError(t, c.Close())
	if read := <-got; !bytes.Equal(read, want) {
		t.Errorf("%d bytes came, or others; want %d", len(read), len(want))
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("a connection that is closed takes what is written")
	}
}

// TestCloseOfAServerThatReadsNothing: it is over after a moment, for those too who wait to write.
func TestCloseOfAServerThatReadsNothing(t *testing.T) {
	t.Parallel()
	client, _ := net.Pipe()
	c := newQueuedConn(client)
	failed := make(chan error, 1)
	go func() {
		for { // until there is no room
			if _, err := c.Write(make([]byte, 8<<20)); err != nil {
				failed <- err
				return
			}
		}
	}()
	testkit.Eventually(t, "much waits", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.waiting)+8<<20 > mostWaiting
	})
	testkit.NoError(t, c.Close())
	if err := <-failed; err == nil {
		t.Error("Write has no error")
	}
}

// TestServerThatIsGone: what is written fails.
func TestServerThatIsGone(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	c := newQueuedConn(client)
	testkit.NoError(t, server.Close())
	testkit.Eventually(t, "writing fails", func() bool { _, err := c.Write([]byte("x")); return err != nil })
	testkit.NoError(t, c.Close())
}
