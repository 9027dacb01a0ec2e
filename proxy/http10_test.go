package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

// TestStreamsToHTTP10: an answer of unknown length ends with the connection, is never
// held whole, and ends in a reset where it breaks off.
func TestStreamsToHTTP10(t *testing.T) {
	t.Parallel()
	const piece = 64 << 10
	const pieces = 200 // 12.5 MB
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		request, err := http.ReadRequest(conn.Reader)
		if err != nil {
			return
		}
		if request.URL.Path == "/sized" {
			conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("x", 1000000))
			return
		}
		conn.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n")
		for i := range pieces {
			if request.URL.Path == "/breaks" && i == pieces/2 {
				return
			}
			if _, err := io.WriteString(conn, "10000\r\n"+strings.Repeat("x", piece)+"\r\n"); err != nil {
				return
			}
		}
		conn.Say("0\r\n\r\n")
	}).URL
	b := bridge.Start(t, url)
	ask := func(path, fields string) (head *http.Response, n int64, err error) {
		conn := b.Dial()
		io.WriteString(conn, "GET "+path+" HTTP/1.0\r\n"+fields+"\r\n")
		r := bufio.NewReader(conn)
		head, err = http.ReadResponse(r, nil)
		testkit.NoError(t, err)
		n, err = io.Copy(io.Discard, head.Body)
		return head, n, err
	}
	for _, fields := range []string{"", "Host: h\r\n", "Host: h\r\nConnection: keep-alive\r\n"} {
		head, n, err := ask("/whole", fields)
		if err != nil || n != piece*pieces || len(head.TransferEncoding) > 0 || !head.Close || head.Header.Get("Content-Type") != "text/plain" || head.Header.Get("X-Request-Id") == "" {
			t.Errorf("%q: %d bytes, %v with %v %v; want all of them, unchunked, and the end of the connection", fields, n, err, head.TransferEncoding, head.Header)
		}
	}
	if _, n, err := ask("/breaks", ""); err == nil || !testkit.IsReset(err) || n >= piece*pieces {
		t.Errorf("an answer that breaks off: %d bytes, %v; want a reset", n, err)
	}
	if _, n, err := ask("/sized", ""); err == nil || !testkit.IsReset(err) || n >= 2000000 {
		t.Errorf("an answer of known length that breaks off: %d bytes, %v; want a reset", n, err)
	}
	t.Log("also where a second request waits to be read")
	if _, n, err := ask("/breaks", "\r\n"+strings.Repeat("GET /whole HTTP/1.0\r\n\r\n", 5000)); err == nil || !testkit.IsReset(err) || n >= piece*pieces {
		t.Errorf("an answer that breaks off before a second request: %d bytes, %v; want a reset", n, err)
	}
	t.Log("a drain waits for what is being streamed")
	conn := b.Dial()
	io.WriteString(conn, "GET /whole HTTP/1.0\r\n\r\n")
	r := bufio.NewReader(conn)
	head, err := http.ReadResponse(r, nil)
	testkit.NoError(t, err)
	stopped := make(chan struct{})
	go func() { b.Stop(); close(stopped) }()
	if n, err := io.Copy(io.Discard, head.Body); err != nil || n != piece*pieces {
		t.Errorf("during a drain: %d bytes, %v; want all of them", n, err)
	}
	<-stopped
}

// TestBrokenOffOverTLS: no proper end of TLS follows a part of a document.
func TestBrokenOffOverTLS(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		request, err := http.ReadRequest(conn.Reader)
		if err != nil {
			return
		}
		head := "Content-Length: 2000000"
		if request.URL.Path == "/unsized" {
			head = "Connection: close\r\nTransfer-Encoding: chunked"
		}
		conn.Say("HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n10000\r\n" + strings.Repeat("x", 64<<10))
	}).URL
	certificate := testkit.NewCertificate(t)
	b := bridge.Start(t, url, func(s *bridge.Settings) {
		s.Proxy.TLS.CertFile, s.Proxy.TLS.KeyFile = certificate.CertFile, certificate.KeyFile
	})
	for _, path := range []string{"/sized", "/unsized"} {
		conn, err := tls.Dial("tcp", b.Addr(), &tls.Config{InsecureSkipVerify: true})
		testkit.NoError(t, err)
		io.WriteString(conn, "GET "+path+" HTTP/1.0\r\n\r\n")
		if whole, err := io.ReadAll(conn); err == nil {
			t.Errorf("%s: %d bytes and a proper end", path, len(whole))
		}
		conn.Close()
	}
}

// TestAbandonedStreams: where the connection breaks off before a stream to HTTP/1.0 has
// begun, because an answer before it cannot be written, what it holds is given back.
func TestAbandonedStreams(t *testing.T) {
	t.Parallel()
	arrived, left := make(chan struct{}), make(chan struct{})
	url := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/unsized":
			arrived <- struct{}{}
			<-left
			w.(http.Flusher).Flush()
			io.WriteString(w, "x")
		default:
			io.WriteString(w, testkit.Waiting)
		}
	})).URL
	b := bridge.Start(t, url, func(s *bridge.Settings) { s.Upstream.MaxInflight = 4 }) // three pass through
	body := bridge.StatusBody("sesame-1")
	for range 12 {
		conn := b.Dial().(*net.TCPConn)
		fmt.Fprintf(conn, "POST %s HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%s"+
			"GET /unsized HTTP/1.0\r\n\r\n", bridge.StatusPath(token), len(body), body)
		<-arrived
		conn.SetLinger(0)
		conn.Close()
		left <- struct{}{}
	}
	if a := testkit.Do(t, "GET", b.URL+"/x", ""); a.Status != 200 {
		t.Errorf("after it: %d %s; want 200", a.Status, a.Body)
	}
}
