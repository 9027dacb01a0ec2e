package testkit

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// RawUpstream is an upstream that speaks bytes, so that it can say what no HTTP server
// would.
type RawUpstream struct {
	URL string

	listener net.Listener
	running  sync.WaitGroup
	mu       sync.Mutex
	requests []string   // guarded by mu, as below
	conns    []net.Conn // that were accepted
}

// Conn is one connection of a RawUpstream.
type Conn struct {
	net.Conn
	Reader *bufio.Reader // of the connection; all reading goes through it
	Number int           // of the connection, from 1
	of     *RawUpstream
}

// NewRawUpstream starts an upstream of which each connection is given to talk and
// closed when that returns. All end with the test.
func NewRawUpstream(t testing.TB, talk func(*Conn)) *RawUpstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	NoError(t, err)
	return NewRawUpstreamOn(t, listener, talk)
}

// NewRawUpstreamOn is NewRawUpstream on a listener, which it closes.
func NewRawUpstreamOn(t testing.TB, listener net.Listener, talk func(*Conn)) *RawUpstream {
	u := &RawUpstream{URL: "http://" + listener.Addr().String(), listener: listener}
	u.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns = append(u.conns, conn)
			c := &Conn{conn, bufio.NewReader(conn), len(u.conns), u}
			u.mu.Unlock()
			u.running.Go(func() {
				defer conn.Close()
				talk(c)
			})
		}
	})
	t.Cleanup(func() {
		u.StopAccepting()
		u.HangUp()
		u.running.Wait()
	})
	return u
}

// Addr returns the address of the listener.
func (u *RawUpstream) Addr() string { return u.listener.Addr().String() }

// StopAccepting refuses new connections, and leaves those that there are.
func (u *RawUpstream) StopAccepting() { u.listener.Close() }

// Connections returns how many were accepted so far.
func (u *RawUpstream) Connections() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.conns)
}

// HangUp closes all connections.
func (u *RawUpstream) HangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, conn := range u.conns {
		conn.Close()
	}
}

// Requests returns those that ReadRequest has read so far.
func (u *RawUpstream) Requests() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.requests)
}

// ReadRequest reads a request, byte for byte; false means that none came whole. A body
// must have a Content-Length.
func (c *Conn) ReadRequest() (string, bool) {
	var raw bytes.Buffer
	length := int64(0)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = c.Reader.ReadString('\n'); err != nil {
			return "", false
		}
		raw.WriteString(line)
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
			length, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	if _, err := io.CopyN(&raw, c.Reader, length); err != nil {
		return "", false
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.requests = append(c.of.requests, raw.String())
	return raw.String(), true
}

// StartTLS goes on with TLS, as a server.
func (c *Conn) StartTLS(config *tls.Config) {
	c.Conn = tls.Server(c.Conn, config)
	c.Reader.Reset(c.Conn)
}

// Say writes text.
func (c *Conn) Say(text string) { io.WriteString(c.Conn, text) }

// UntilClosed waits until the client closes the connection, and throws away what comes.
func (c *Conn) UntilClosed() { io.Copy(io.Discard, c.Reader) }

// CloseWrite ends what is said, and not what is heard. The connection must be TCP.
func (c *Conn) CloseWrite() { c.Conn.(*net.TCPConn).CloseWrite() }

// Reset closes the connection, which must be TCP, with a reset.
func (c *Conn) Reset() {
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Conn.Close()
}
