package send_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/webhook/send"
)

const kept = 4 << 10 // of an answer

// TestTheStatusLineIsBelieved: nothing that becomes of a body changes how an attempt went,
// and a connection is used again only where it is at its end.
func TestTheStatusLineIsBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says string
		then       func(*testkit.Conn)
		answer     int // bytes of it that are kept
		reused     bool
	}{
		{name: "no body", says: "HTTP/1.1 204 No Content\r\n\r\n", reused: true},
		{name: "an empty one", says: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", reused: true},
		{name: "a whole one", says: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", answer: 5, reused: true},
		{name: "as much as is read", says: "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + strings.Repeat("x", kept), answer: kept, reused: true},
		{name: "in chunks", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", answer: 5, reused: true},
		{name: "more than is read", says: "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n" + strings.Repeat("x", kept+1), answer: kept},
		{name: "one that does not end", says: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello", answer: 5},
		{name: "one that does not begin", says: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"},
		{name: "one without a length", says: "HTTP/1.1 200 OK\r\n\r\nhello", answer: 5},
		{name: "one that is cut short", says: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello", then: (*testkit.Conn).CloseWrite, answer: 5},
		{name: "one that ends in a reset", says: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", then: (*testkit.Conn).Reset},
		{name: "no chunks", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
		{name: "one that drips", says: "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", answer: -1, then: func(c *testkit.Conn) {
			for pace := time.Tick(time.Millisecond); ; <-pace {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}},
	} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, fails), func(t *testing.T) {
				t.Parallel()
				says, status, class := c.says, 0, ""
				fmt.Sscanf(says, "HTTP/1.1 %d", &status)
				if fails {
					says, status, class = "HTTP/1.1 500"+says[len("HTTP/1.1 200"):], 500, send.ErrorStatus
					if strings.Contains(says, "No Content") {
						t.Skip("every 500 has a body")
					}
				}
				r, closed := receiver(t, func(c *testkit.Conn) { c.Say(says) })
				if c.then != nil {
					r, closed = receiver(t, func(conn *testkit.Conn) { conn.Say(says); c.then(conn) })
				} else if c.reused {
					r = testkit.NewRawUpstream(t, func(c *testkit.Conn) {
						for {
							if _, ok := c.ReadRequest(); !ok {
								return
							}
							c.Say(says)
						}
					})
				}
				s := newSender(t, r.URL, func(s *setup) { s.answerTime = 100 * time.Millisecond })
				o := s.send("evt_1")
				s.want(o, status, class)
				if c.answer >= 0 && len(o.Answer) != c.answer {
					t.Errorf("%d bytes of the answer are kept; want %d", len(o.Answer), c.answer)
				}
				if !c.reused {
					testkit.Receive(t, "the connection is closed", closed)
					return
				}
				s.want(s.send("evt_2"), status, class)
				if n := r.Connections(); n != 1 {
					t.Errorf("%d connections; want 1", n)
				}
			})
		}
	}
}

// TestNoAnswerYet: only 100, 102 and 103 announce another answer, and not without end.
func TestNoAnswerYet(t *testing.T) {
	t.Parallel()
	head := func(status int) string { return fmt.Sprintf("HTTP/1.1 %03d X\r\n\r\n", status) }
	for _, c := range []struct {
		name, says string
		status     int
		class      string
	}{
		{"switched", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 101, send.ErrorStatus},
		{"switched without saying to what", head(101), 101, send.ErrorStatus},
		{"switched later", head(103) + head(101), 101, send.ErrorStatus},
		{"nobody's", head(104), 104, send.ErrorStatus},
		{"the last", head(199), 199, send.ErrorStatus},
		{"too small", head(99), 99, send.ErrorStatus},
		{"nobody's later", head(102) + head(150), 150, send.ErrorStatus},
		{"announced", head(100) + head(102) + head(103) + head(103) + "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, ""},
		{"announced and failed", head(103) + "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", 503, send.ErrorStatus},
		{"announced for ever", strings.Repeat(head(103), 10_000), 103, send.ErrorStatus},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, closed := receiver(t, func(conn *testkit.Conn) { conn.Say(c.says) })
			s := newSender(t, r.URL)
			s.want(s.send("evt_1"), c.status, c.class)
			if c.status < 200 {
				testkit.Receive(t, "the connection is closed", closed)
			}
		})
	}
}

// TestNoAnswerYetHTTP2 is the same over HTTP/2, where 101 does not exist.
func TestNoAnswerYetHTTP2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		interim, times int
		status         int
		class          string
	}{
		{101, 1, 101, send.ErrorStatus}, {150, 1, 150, send.ErrorStatus}, {103, 10_000, 103, send.ErrorStatus}, {103, 3, 200, ""},
	} {
		t.Run(fmt.Sprint(c.interim, c.times), func(t *testing.T) {
			t.Parallel()
			to, trusting := http2Receiver(t, func(w http.ResponseWriter, r *http.Request) {
				for range c.times {
					w.WriteHeader(c.interim)
				}
				if c.class != "" {
					<-r.Context().Done()
				}
			})
			s := newSender(t, to, trusting)
			s.want(s.send("evt_1"), c.status, c.class)
		})
	}
}

// TestBodiesHTTP2: a body that is not read to its end costs little more than what is read.
func TestBodiesHTTP2(t *testing.T) {
	t.Parallel()
	wrote := make(chan int, 1)
	to, trusting := http2Receiver(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for part := bytes.Repeat([]byte("x"), 16<<10); n < 64<<20; {
			k, err := w.Write(part)
			if n += k; err != nil {
				break
			}
		}
		wrote <- n
	})
	s := newSender(t, to, trusting)
	o := s.send("evt_1")
	s.want(o, 200, "")
	if n := testkit.Receive(t, "the stream is over", wrote); n > 256<<10 || len(o.Answer) != kept {
		t.Errorf("%d bytes were taken and %d kept; want little more than 64 KiB, and 4 KiB", n, len(o.Answer))
	}

	to, trusting = http2Receiver(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		wrote <- 0
	})
	s = newSender(t, to, trusting, func(s *setup) { s.answerTime = 50 * time.Millisecond })
	s.want(s.send("evt_1"), 202, "")
	testkit.Receive(t, "the stream is over", wrote)
}

// TestRedirectsAreFailures, whatever they say.
func TestRedirectsAreFailures(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"Location: /elsewhere\r\n", "Location: http://169.254.169.254/\r\n", "Location: http://[::1\r\n", ""} {
		for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
			r, _ := receiver(t, func(c *testkit.Conn) {
				c.Say(fmt.Sprintf("HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n", status, location))
			})
			s := newSender(t, r.URL)
			o := s.send("evt_1")
			s.want(o, status, send.ErrorRedirect)
			if n := len(r.Requests()); n != 1 || strings.Contains(o.Detail, "169.254") {
				t.Errorf("%d requests, %s; want one, and not where it points", n, o.Detail)
			}
		}
	}
}

// TestHugeHead: the head has a bound, and the operator is told.
func TestHugeHead(t *testing.T) {
	t.Parallel()
	field := "X: " + strings.Repeat("x", 1000) + "\r\n"
	for n, class := range map[int]string{50: "", 80: send.ErrorBroken} {
		r, _ := receiver(t, func(c *testkit.Conn) {
			c.Say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + strings.Repeat(field, n) + "\r\n")
		})
		s := newSender(t, r.URL)
		o := s.send("evt_1")
		s.want(o, map[string]int{"": 200}[class], class)
		if class != "" && !strings.Contains(o.Detail, "64 KiB") {
			t.Errorf("the detail is %q", o.Detail)
		}
	}
}

// TestAnswerBeforeTheRequest is whole: the receiver does not read on and closes, which
// breaks the request. What it has said counts.
func TestAnswerBeforeTheRequestIsWhole(t *testing.T) {
	t.Parallel()
	for range 20 {
		r := testkit.NewRawUpstream(t, func(c *testkit.Conn) {
			for line := ""; line != "\r\n"; {
				var err error
				if line, err = c.Reader.ReadString('\n'); err != nil {
					return
				}
			}
			c.Say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		})
		s := newSender(t, r.URL, func(s *setup) { s.payload = make([]byte, 16<<20) })
		if o := s.send("evt_1"); o.Status != 413 {
			t.Fatalf("status %d, %q (%s); want 413", o.Status, o.Error, o.Detail)
		}
	}
}
