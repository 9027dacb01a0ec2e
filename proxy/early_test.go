package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestEarlyAnswersArrive although the client is still sending: it gets to read them.
func TestEarlyAnswersArrive(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	url := rawUpstream(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, r)
	})
	b := serve(t, url)
	for _, test := range []struct {
		name, head string
		chunked    bool
		want       int
	}{
		{"the upstream answers early", "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", false, 413},
		{"the upstream answers early, to chunks", "POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", true, 413},
		{"refused here", "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nX-Bad: a\r\n folded\r\n\r\n", false, 400},
		{"a method that is refused here", "TRACE /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", false, 405},
		{"an unknown method", "FOO /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", false, 501},
	} {
		for range 3 {
			conn := b.dial()
			head := test.head
			if !test.chunked {
				head = fmt.Sprintf(test.head, size)
			}
			_, err := io.WriteString(conn, head)
			fatal(t, err)
			// A client that writes everything before it reads, as most do.
			piece := strings.Repeat("x", 64<<10)
			if test.chunked {
				piece = "10000\r\n" + piece + "\r\n"
			}
			for range size / (64 << 10) {
				if _, err = io.WriteString(conn, piece); err != nil {
					break
				}
			}
			if err != nil {
				t.Errorf("%s: sending: %v", test.name, err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || answer.StatusCode != test.want {
				t.Errorf("%s: %v, %v; want %d", test.name, answer, err, test.want)
			}
			conn.Close()
		}
	}
}

// TestLingeringEndsWithADrain.
func TestLingeringEndsWithADrain(t *testing.T) {
	t.Parallel()
	b := serve(t, record(t, nil).url)
	conn := b.dial()
	io.WriteString(conn, "TRACE /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 16<<10)) // of which the engine reads a part
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	fatal(t, err)
	if answer.StatusCode != 405 {
		t.Errorf("answered %d; want 405", answer.StatusCode)
	}
	eventually(t, "the connection lingers", func() bool { return running("proxy.(*lingering).linger") })
	start := time.Now()
	b.stop()
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the drain took %v although only a lingering connection was left", took)
	}
}
