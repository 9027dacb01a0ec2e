package send_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"pollbridge/internal/testkit"
	"pollbridge/webhook/send"
)

// TestTheTimeoutBoundsAnAttempt: whatever a receiver does not do, and what was begun for
// it does not outlast the attempt for long.
func TestTheTimeoutBoundsAnAttempt(t *testing.T) {
	t.Parallel()
	drip := func(head, part string) func(*testkit.Conn) {
		return func(c *testkit.Conn) {
			c.ReadRequest()
			c.Say(head)
			for pace := time.Tick(time.Millisecond); ; <-pace {
				if _, err := io.WriteString(c, part); err != nil {
					return
				}
			}
		}
	}
	for _, c := range []struct {
		name string
		talk func(*testkit.Conn)
	}{
		{name: "no answer", talk: func(c *testkit.Conn) { c.ReadRequest() }},
		{name: "a head that drips", talk: drip("HTTP/1.1 200 OK\r\nX: ", "x")},
		{name: "a status line that drips", talk: drip("HTTP/1.1 200 ", "K")},
		{name: "half an interim answer", talk: drip("HTTP/1.1 103 X\r\n\r\nHTTP/1.1 103 X\r\nX: ", "x")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{}, 1)
			r := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
				c.talk(conn)
				conn.UntilClosed()
				closed <- struct{}{}
			})
			s := newSender(t, r.URL, timeout(200*time.Millisecond))
			s.want(s.send("evt_1"), 0, send.ErrorTimeout)
			testkit.Receive(t, "the connection is closed", closed)
		})
	}
	t.Run("a request that is not read", func(t *testing.T) {
		t.Parallel()
		over, closed := make(chan struct{}), make(chan struct{}, 1)
		r := testkit.NewRawUpstream(t, func(c *testkit.Conn) { <-over; c.UntilClosed(); closed <- struct{}{} })
		s := newSender(t, r.URL, timeout(2*time.Second), func(s *setup) { s.payload = make([]byte, 16<<20) }) // to sign it takes its time
		s.want(s.send("evt_1"), 0, send.ErrorTimeout)
		close(over)
		testkit.Receive(t, "the connection is closed", closed)
	})
	t.Run("TLS that stalls", func(t *testing.T) {
		t.Parallel()
		closed := make(chan struct{}, 1)
		r := testkit.NewRawUpstream(t, func(c *testkit.Conn) { c.UntilClosed(); closed <- struct{}{} })
		s := newSender(t, strings.Replace(r.URL, "http", "https", 1), timeout(200*time.Millisecond))
		s.want(s.send("evt_1"), 0, send.ErrorTimeout)
		testkit.Receive(t, "the connection is closed", closed)
	})
	t.Run("a name server that is silent", func(t *testing.T) {
		t.Parallel()
		silent, err := net.ListenPacket("udp", "127.0.0.1:0")
		testkit.NoError(t, err)
		t.Cleanup(func() { silent.Close() })
		resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("udp", silent.LocalAddr().String())
		}}
		s := newSender(t, "http://hooks.example:80", timeout(200*time.Millisecond), func(s *setup) { s.Resolver = resolver })
		s.want(s.send("evt_1"), 0, send.ErrorTimeout)
	})
}

// TestNoConnection: what keeps a connection from being made here is not told as what a
// receiver did.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	err := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{Port: 443}, Err: os.NewSyscallError("socket", syscall.EMFILE)}
	if class, detail := send.Classify(err); class != send.ErrorConnect || detail != "no connection: socket: too many open files" {
		t.Errorf("%q (%s)", class, detail)
	}
}

// TestCutOff: an attempt ends with its context.
func TestCutOff(t *testing.T) {
	t.Parallel()
	ctx, cut := context.WithCancel(t.Context())
	r, _ := receiver(t, func(*testkit.Conn) { cut() })
	s := newSender(t, r.URL)
	if o := s.sendContext(ctx, "evt_1"); o.Succeeded() || o.Duration > testkit.Timeout/2 {
		t.Errorf("the attempt was %+v", o.Attempt)
	}
}

// TestNothingIsSentTwice: a receiver that has read a message and hangs up may have acted
// on it, also where its connection had been idle. The next attempt is for others to make.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	r := testkit.NewRawUpstream(t, func(c *testkit.Conn) {
		c.ReadRequest()
		c.Say("HTTP/1.1 204 No Content\r\n\r\n")
		if c.Number == 1 {
			c.ReadRequest()
		}
	})
	s := newSender(t, r.URL)
	s.want(s.send("evt_1"), 204, "")
	s.want(s.send("evt_2"), 0, send.ErrorBroken)
	if n := len(r.Requests()); n != 2 {
		t.Errorf("%d requests; want 2", n)
	}
	s.want(s.send("evt_2"), 204, "")
}

// TestNothingIsSentTwiceHTTP2: a stream that is reset may have been read, whatever reason is
// given.
func TestNothingIsSentTwiceHTTP2(t *testing.T) {
	t.Parallel()
	own := testkit.NewCertificate(t)
	for _, code := range []http2.ErrCode{http2.ErrCodeProtocol, http2.ErrCodeRefusedStream, http2.ErrCodeInternal} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			var got atomic.Int32
			r := testkit.NewRawUpstream(t, func(c *testkit.Conn) {
				c.StartTLS(&tls.Config{Certificates: []tls.Certificate{own.Certificate}, NextProtos: []string{"h2"}})
				if _, err := io.CopyN(io.Discard, c.Reader, int64(len(http2.ClientPreface))); err != nil {
					return
				}
				framer := http2.NewFramer(c, c.Reader)
				framer.WriteSettings()
				for {
					frame, err := framer.ReadFrame()
					if err != nil {
						return
					}
					if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
						got.Add(1)
						framer.WriteRSTStream(data.StreamID, code)
					}
				}
			})
			s := newSender(t, strings.Replace(r.URL, "http", "https", 1), timeout(3*time.Second), func(s *setup) { s.Roots = own.Pool() })
			s.want(s.send("evt_1"), 0, send.ErrorBroken)
			s.want(s.send("evt_2"), 0, send.ErrorBroken)
			if n := got.Load(); n != 2 {
				t.Errorf("%d messages; want 2", n)
			}
		})
	}
}

// TestClosedWhileIdle: where nothing of a message has left on a connection that turns out to
// be closed, it goes out on another one, and that is one attempt.
func TestClosedWhileIdle(t *testing.T) {
	t.Parallel()
	r := testkit.NewRawUpstream(t, func(c *testkit.Conn) {
		for {
			if _, ok := c.ReadRequest(); !ok {
				return
			}
			c.Say("HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	s := newSender(t, r.URL)
	gone := false
	s.WrapConns(func(conn net.Conn) net.Conn {
		if gone {
			return conn
		}
		return failing{conn, &gone}
	})
	s.want(s.send("evt_1"), 204, "")
	gone = true
	s.want(s.send("evt_2"), 204, "")
	if n, c := len(r.Requests()), r.Connections(); n != 2 || c != 2 {
		t.Errorf("%d requests on %d connections; want 2 on 2", n, c)
	}
}

// TestClosedJustNow: a connection that was closed before a message is sent is not used for it,
// however little before.
func TestClosedJustNow(t *testing.T) {
	t.Parallel()
	hangUp, gone := make(chan struct{}), make(chan struct{})
	own := testkit.NewCertificate(t)
	talk := func(c *testkit.Conn) {
		if _, ok := c.ReadRequest(); !ok {
			return
		}
		c.Say("HTTP/1.1 204 No Content\r\n\r\n")
		select {
		case <-hangUp:
		case <-t.Context().Done():
		}
		c.Close()
		select {
		case gone <- struct{}{}:
		case <-t.Context().Done():
		}
	}
	plain := testkit.NewRawUpstream(t, talk)
	secure := testkit.NewRawUpstream(t, func(c *testkit.Conn) {
		c.StartTLS(&tls.Config{Certificates: []tls.Certificate{own.Certificate}})
		talk(c)
	})
	for _, to := range []string{plain.URL, strings.Replace(secure.URL, "http", "https", 1)} {
		s := newSender(t, to, func(s *setup) { s.Roots = own.Pool() })
		for range 200 {
			if s.want(s.send("evt_1"), 204, ""); t.Failed() {
				return
			}
			hangUp <- struct{}{}
			<-gone
		}
	}
}

// TestIdleConnectionsAreClosed before receivers do that, who may do it just when the next
// message comes.
func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	r, closed := receiver(t, func(c *testkit.Conn) { c.Say("HTTP/1.1 204 No Content\r\n\r\n") })
	s := newSender(t, r.URL)
	s.want(s.send("evt_1"), 204, "")
	start := time.Now()
	testkit.Receive(t, "the connection is closed", closed)
	if after := time.Since(start); after > 30*time.Second {
		t.Errorf("closed after %v", after)
	}
}
