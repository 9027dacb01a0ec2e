package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

var largeSizes = []int{60 << 10, 64 << 10, 64<<10 + 1, 1 << 20, 8 << 20}

// largeToken is the token of a session whose final answer has that many bytes.
func largeToken(size int) string { return fmt.Sprintf("large%d-%s", size, bridge.TokenMark) }

// largeText is what large answers are cut from: no two places in it look alike.
var largeText = sync.OnceValue(func() string {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 8<<20+64<<10)
	for i := range text {
		text[i] = 'a' + byte(random.Uint32N(26))
	}
	return string(text)
})

// largeAnswer is a final answer; those of no two sessions are alike.
func largeAnswer(token string) string {
	digits, _, _ := strings.Cut(strings.TrimPrefix(token, "large"), "-")
	size, _ := strconv.Atoi(digits)
	const before, after = `{"status":"ok","file":{"content":"`, `"}}`
	return before + largeText()[size%9973:][:size-len(before)-len(after)] + after
}

// largeUpstream gives final answers of any size, and pending ones.
func largeUpstream(t *testing.T) string {
	return testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		token := strings.TrimSuffix(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], ".json")
		if !strings.HasPrefix(token, "large") {
			testkit.Respond(w, 200, testkit.Waiting)
			return
		}
		body := largeAnswer(token)
		if locale, ok := strings.CutPrefix(r.URL.Path, "/en/"); ok && strings.Contains(locale, "-told-") {
			body = strings.Replace(body, `"status"`, `"message":"Done","status"`, 1)
		} else if strings.Contains(token, "-told-") {
			body = strings.Replace(body, `"status"`, `"message":"Baigta","status"`, 1)
		}
		testkit.Respond(w, 200, body)
	}).URL
}

// serveLarge starts a bridge that has room for large answers.
func serveLarge(t *testing.T, changes ...func(*bridge.Settings)) *bridge.Bridge {
	t.Helper()
	changes = append(changes, func(s *bridge.Settings) {
		s.Cache.MaxSize = 256 << 20
		s.Cache.FinalTTL = cache.DefaultConfig().FinalTTL
	})
	return bridge.Start(t, largeUpstream(t), changes...)
}

// asks is a status request as bytes.
func asks(token string, fields ...string) string {
	body := bridge.StatusBody("sesame-1")
	return "POST " + bridge.StatusPath(token) + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n" +
		strings.Join(append(fields, ""), "\r\n") + "\r\n" + body
}

// wantAnswer reads an answer and checks every byte of its body.
func wantAnswer(t *testing.T, r *bufio.Reader, what, want string) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%s: %d, %v after %d bytes", what, response.StatusCode, err, len(body))
	}
	wantBody(t, what, string(body), want)
	if response.ContentLength != int64(len(want)) {
		t.Errorf("%s: Content-Length %d; want %d", what, response.ContentLength, len(want))
	}
	return response
}

func wantBody(t *testing.T, what, body, want string) {
	t.Helper()
	if body == want {
		return
	}
	i := 0
	for i < min(len(body), len(want)) && body[i] == want[i] {
		i++
	}
	t.Fatalf("%s: %d bytes that differ from byte %d on; want %d", what, len(body), i, len(want))
}

// descriptors counts what the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("not on this system")
	}
	return len(entries)
}

// TestLargeAnswers come byte for byte, however often, and so does what comes before
// and after them on their connection.
func TestLargeAnswers(t *testing.T) {
	b := serveLarge(t)
	conn := b.Dial()
	r := bufio.NewReader(conn)
	exchange := func(what, token, want string) *http.Response {
		t.Helper()
		_, err := io.WriteString(conn, asks(token))
		testkit.NoError(t, err)
		return wantAnswer(t, r, what, want)
	}
	for _, size := range largeSizes {
		token := largeToken(size)
		first := exchange(fmt.Sprint(size, " bytes, first"), token, largeAnswer(token))
		for n := range 4 {
			what := fmt.Sprintf("%d bytes, once more %d", size, n)
			again := exchange(what, token, largeAnswer(token))
			for _, name := range []string{"Date", "Age", "X-Request-Id", "Cache-Status"} {
				first.Header.Del(name)
				again.Header.Del(name)
			}
			if fmt.Sprint(first.Header) != fmt.Sprint(again.Header) {
				t.Errorf("%s: header %v; want %v", what, again.Header, first.Header)
			}
			exchange("a small one after "+what, "tok1", testkit.Waiting)
		}
	}
}

// TestLargeAnswersArriveAtOnce, whole, and so do small ones after them: no byte waits
// in the kernel for more to come, which takes 200 ms.
func TestLargeAnswersArriveAtOnce(t *testing.T) {
	b := serveLarge(t)
	conn := b.Dial()
	r := bufio.NewReader(conn)
	for _, size := range largeSizes[:4] {
		token := largeToken(size)
		var large, small []time.Duration
		for range 12 {
			for _, one := range []struct {
				token, body string
				took        *[]time.Duration
			}{{token, largeAnswer(token), &large}, {"tok1", testkit.Waiting, &small}} {
				start := time.Now()
				_, err := io.WriteString(conn, asks(one.token))
				testkit.NoError(t, err)
				wantAnswer(t, r, one.token, one.body)
				*one.took = append(*one.took, time.Since(start))
			}
		}
		for what, took := range map[string][]time.Duration{"large": large[3:], "small": small[3:]} {
			// A machine that is busy is late often, but not almost every time.
			if slices.Sort(took); took[len(took)/4] > 150*time.Millisecond {
				t.Errorf("%s answers around one of %d bytes take %v", what, size, took)
			}
		}
	}
}

func TestLargeAnswersPipelined(t *testing.T) {
	b := serveLarge(t)
	sizes := []int{1 << 20, 60 << 10, 64 << 10, 64<<10 + 1}
	conn := b.Dial()
	testkit.NoError(t, conn.(*net.TCPConn).SetReadBuffer(256<<10))
	var all strings.Builder
	var wants []string
	for range 5 {
		for i, size := range sizes {
			all.WriteString(asks(largeToken(size)))
			wants = append(wants, largeAnswer(largeToken(size)))
			for range i {
				all.WriteString(asks("tok1"))
				wants = append(wants, testkit.Waiting)
			}
		}
	}
	sent := make(chan error, 1)
	go func() { _, err := io.WriteString(conn, all.String()); sent <- err }()
	r := bufio.NewReaderSize(conn, 1000)
	for i, want := range wants {
		wantAnswer(t, r, fmt.Sprint("answer ", i), want)
	}
	testkit.NoError(t, <-sent)
}

func TestLargeAnswersOverHTTP10(t *testing.T) {
	b := serveLarge(t)
	for _, size := range largeSizes[:4] {
		token := largeToken(size)
		old := strings.Replace(asks(token), "HTTP/1.1", "HTTP/1.0", 1)
		for n := range 5 {
			answers := b.Send(old)
			if len(answers) != 1 || answers[0].Status != 200 || answers[0].Err != nil {
				t.Fatalf("%d bytes, time %d: %v, %+v", size, n, testkit.Statuses(answers), answers)
			}
			wantBody(t, fmt.Sprintf("%d bytes, time %d", size, n), answers[0].Body, largeAnswer(token))
		}
		conn := b.Dial()
		r := bufio.NewReader(conn)
		for n := range 4 {
			_, err := io.WriteString(conn, strings.Replace(asks(token, "Connection: keep-alive"), "HTTP/1.1", "HTTP/1.0", 1))
			testkit.NoError(t, err)
			wantAnswer(t, r, fmt.Sprintf("%d bytes, kept alive, time %d", size, n), largeAnswer(token))
		}
	}
}

func TestLargeAnswersOverTLS(t *testing.T) {
	certificate := testkit.NewCertificate(t)
	b := serveLarge(t, func(s *bridge.Settings) {
		s.Proxy.TLS.CertFile, s.Proxy.TLS.KeyFile = certificate.CertFile, certificate.KeyFile
	})
	conn, err := tls.Dial("tcp", b.Addr(), &tls.Config{InsecureSkipVerify: true})
	testkit.NoError(t, err)
	defer conn.Close()
	testkit.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	r := bufio.NewReader(conn)
	for _, size := range largeSizes {
		for n := range 4 {
			token := largeToken(size)
			_, err := io.WriteString(conn, asks(token)+asks("tok1"))
			testkit.NoError(t, err)
			wantAnswer(t, r, fmt.Sprintf("%d bytes, time %d", size, n), largeAnswer(token))
			wantAnswer(t, r, "a small one", testkit.Waiting)
		}
	}
}

// TestLargeAnswersInTwoLocales: each has its own.
func TestLargeAnswersInTwoLocales(t *testing.T) {
	b := serveLarge(t)
	token := "large200000-told-" + bridge.TokenMark
	for n := range 5 {
		for path, message := range map[string]string{"": "Baigta", "/en": "Done"} {
			a := testkit.Do(t, "POST", b.URL+path+bridge.StatusPath(token), bridge.StatusBody("sesame-1"))
			want := strings.Replace(largeAnswer(token), `"status"`, `"message":"`+message+`","status"`, 1)
			wantBody(t, fmt.Sprintf("locale %q, time %d", path, n), a.Body, want)
		}
	}
}

// TestLargeAnswersToManyAtOnce, each at its own speed.
func TestLargeAnswersToManyAtOnce(t *testing.T) {
	b := serveLarge(t)
	var clients sync.WaitGroup
	for i := range 12 {
		clients.Go(func() {
			conn, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			conn.(*net.TCPConn).SetReadBuffer(128 << 10 << (i % 4))
			r := bufio.NewReaderSize(conn, 1000*(i+1))
			for n := range 8 {
				token := largeToken(largeSizes[(i+n)%4])
				if _, err := io.WriteString(conn, asks(token)); err != nil {
					t.Error(err)
					return
				}
				response, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if body, err := io.ReadAll(response.Body); err != nil || string(body) != largeAnswer(token) {
					t.Errorf("client %d, time %d: %d other bytes, %v", i, n, len(body), err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// TestLargeAnswersToClientsThatLeave leave nothing behind.
func TestLargeAnswersToClientsThatLeave(t *testing.T) {
	b := serveLarge(t)
	token := largeToken(8 << 20)
	for range 3 {
		if a := b.Poll(token, "sesame-1"); a.Body != largeAnswer(token) {
			t.Fatalf("%d other bytes", len(a.Body))
		}
	}
	testkit.Client.CloseIdleConnections()
	before := descriptors(t)
	for i := range 40 {
		conn, err := net.Dial("tcp", b.Addr())
		testkit.NoError(t, err)
		testkit.NoError(t, conn.(*net.TCPConn).SetReadBuffer(256<<10))
		_, err = io.WriteString(conn, asks(token)+asks(token))
		testkit.NoError(t, err)
		if i%4 > 0 {
			_, err = io.CopyN(io.Discard, conn, int64(i)<<12)
			testkit.NoError(t, err)
		}
		if i%2 == 0 {
			conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
	}
	testkit.Eventually(t, "all they had open is closed", func() bool {
		return descriptors(t) <= before
	})
	wantBody(t, "after all that", b.Poll(token, "sesame-1").Body, largeAnswer(token))
}
