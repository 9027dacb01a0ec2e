package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	certificate := testkit.NewCertificate(t)
	b := bridge.Start(t, rec.URL, func(s *bridge.Settings) {
		s.Proxy.TLS.CertFile, s.Proxy.TLS.KeyFile = certificate.CertFile, certificate.KeyFile
		s.Cache.PendingTTL = 50 * time.Millisecond
		s.Interval = s.Cache.PendingTTL
	})
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer trusting.CloseIdleConnections()
	response, err := trusting.Get("https://" + b.Addr() + "/x")
	testkit.NoError(t, err)
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if got := rec.Last(t).Header.Get("X-Forwarded-Proto"); response.StatusCode != 200 || response.ProtoMajor != 1 || got != "https" {
		t.Errorf("%s %d, X-Forwarded-Proto = %q; want HTTP/1.1 200 https", response.Proto, response.StatusCode, got)
	}

	t.Log("a client that leaves is noticed through TLS")
	conn, err := tls.Dial("tcp", b.Addr(), &tls.Config{InsecureSkipVerify: true})
	testkit.NoError(t, err)
	body := bridge.StatusBody("sesame-1")
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nPrefer: wait=60\r\nContent-Length: %d\r\n\r\n%s", bridge.StatusPath(token), len(body), body)
	testkit.Eventually(t, "the session is held", func() bool { return b.LongPolls.Held() == 1 })
	conn.NetConn().Close()
	testkit.Eventually(t, "the hold ends", func() bool { return b.LongPolls.Held() == 0 })

	t.Log("a trailer with a bare LF is refused through TLS, and another is not")
	for line, want := range map[string]int{"X-A: b\r\n": 200, "X-A: b\n": 400} {
		conn, err := tls.Dial("tcp", b.Addr(), &tls.Config{InsecureSkipVerify: true})
		testkit.NoError(t, err)
		fmt.Fprintf(conn, "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\n%s\r\n\r\n\r\n", line)
		if got := testkit.Statuses(testkit.ReadAnswers(t, conn)); len(got) != 1 || got[0] != want {
			t.Errorf("%q: answered %v; want %d", line, got, want)
		}
		conn.Close()
	}

	t.Log("old versions are refused")
	if conn, err := tls.Dial("tcp", b.Addr(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is accepted")
	}
}
