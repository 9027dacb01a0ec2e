package proxy

import (
	"net"
	"sync"
	"testing"

	"pollbridge/internal/testkit"
)

// pair is a TCP connection: its two ends.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialed, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

// TestTheOldestLingererGoesFirst where too many do.
func TestTheOldestLingererGoesFirst(t *testing.T) {
	l := &lingering{}
	var all sync.WaitGroup
	_, oldest := pair(t)
	first := make(chan struct{})
	all.Go(func() {
		defer close(first)
		l.linger(oldest)
	})
	testkit.Eventually(t, "lingering", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.conns.Len() > 0
	})
	_, other := pair(t)
	for range lingerConns - 1 {
		l.enter(other)
	}
	select {
	case <-first:
		t.Fatal("the oldest went although there was room")
	default:
	}
	l.enter(other)
	<-first
	if n := l.conns.Len(); n != lingerConns {
		t.Errorf("%d linger; want %d", n, lingerConns)
	}
	l.close()
	if _, err := other.Write([]byte("x")); err == nil || l.enter(other) != nil {
		t.Errorf("after the end Write = %v, and others begin", err)
	}
	all.Wait()
}
