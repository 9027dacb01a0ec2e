package hangup_test

import (
	"net"
	"testing"
	"time"

	"pollbridge/internal/hangup"
)

func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// TestWatch tells of the one who leaves, not of who stays or is not watched any more.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := hangup.New(time.Millisecond)
	defer w.Close()
	left := make(chan string, 3)
	leaving, a := pair(t)
	_, b := pair(t)
	forgotten, c := pair(t)
	w.Watch(b, func() { left <- "who stays" })
	stop := w.Watch(c, func() { left <- "who is forgotten" })
	stop()
	forgotten.Close()
	w.Watch(a, func() { left <- "who leaves" })
	leaving.Close()
	if got := <-left; got != "who leaves" {
		t.Errorf("told of %s", got)
	}
	stop()
	if len(left) > 0 {
		t.Errorf("told of %s too", <-left)
	}
}

// TestCloseUnused ends a watcher that never watched.
func TestCloseUnused(t *testing.T) {
	t.Parallel()
	hangup.New(time.Hour).Close()
}
