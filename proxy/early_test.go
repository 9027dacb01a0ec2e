package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

// TestEarlyAnswersArrive although the client is still sending: it gets to read them.
func TestEarlyAnswersArrive(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		if _, err := http.ReadRequest(conn.Reader); err != nil {
			return
		}
		conn.Say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
		conn.CloseWrite()
		conn.UntilClosed()
	}).URL
	b := bridge.Start(t, url)
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
			conn := b.Dial()
			head := test.head
			if !test.chunked {
				head = fmt.Sprintf(test.head, size)
			}
			_, err := io.WriteString(conn, head)
			testkit.NoError(t, err)
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
	b := bridge.Start(t, testkit.NewUpstream(t, nil).URL)
	conn := b.Dial()
	io.WriteString(conn, "TRACE /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 16<<10)) // of which the engine reads a part
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	testkit.NoError(t, err)
	if answer.StatusCode != 405 {
		t.Errorf("answered %d; want 405", answer.StatusCode)
	}
	testkit.Eventually(t, "the connection lingers", func() bool { return running("proxy.(*lingering).linger") })
	start := time.Now()
	b.Stop()
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the drain took %v although only a lingering connection was left", took)
	}
}
