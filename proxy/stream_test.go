package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
	"pollbridge/simulator"
)

// streaming starts an upstream whose handler reads the body itself.
func streaming(t testing.TB, handler http.HandlerFunc) (url string) {
	t.Helper()
	return testkit.Serve(t, handler).URL
}

// echo answers each piece of the body as it comes.
func echo(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	piece := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(piece)
		if n > 0 {
			w.Write(piece[:n])
			w.(http.Flusher).Flush()
		}
		if err != nil {
			return
		}
	}
}

func TestUploadAndDownloadAtOnce(t *testing.T) {
	t.Parallel()
	b := bridge.Start(t, streaming(t, echo))
	for _, head := range []string{"Transfer-Encoding: chunked", "Content-Length: 49000"} {
		conn := b.Dial()
		fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n\r\n", head)
		r := bufio.NewReader(conn)
		if head[0] == 'C' { // the engine wants that much first
			conn.Write(make([]byte, 9000))
		}
		response, err := http.ReadResponse(r, nil)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%s: answered %v, %v before the body", head, response, err)
		}
		if head[0] == 'C' {
			io.CopyN(io.Discard, response.Body, 9000)
		}
		piece, back := bytes.Repeat([]byte("p"), 1000), make([]byte, 1000)
		for i := range 40 {
			if head[0] == 'T' {
				fmt.Fprintf(conn, "3e8\r\n%s\r\n", piece)
			} else {
				conn.Write(piece)
			}
			if _, err := io.ReadFull(response.Body, back); err != nil || !bytes.Equal(back, piece) {
				t.Fatalf("%s: piece %d did not come back: %v", head, i, err)
			}
		}
		if head[0] == 'T' {
			io.WriteString(conn, "0\r\n\r\n")
		}
		if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
			t.Errorf("%s: behind the echo came %q, %v", head, rest, err)
		}
	}
}

// TestEarlyAnswerToAnUpload has the upstream refuse an upload at once: the client
// gets the refusal, whether it listens while it sends or not, and nothing hangs.
func TestEarlyAnswerToAnUpload(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		for {
			request, err := http.ReadRequest(conn.Reader)
			if err != nil {
				return
			}
			if request.RequestURI == "/close" {
				conn.Say("HTTP/1.1 413 No\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
				conn.CloseWrite()
				conn.UntilClosed() // lingers, as servers do: a reset could overtake the answer
				return
			}
			conn.Say("HTTP/1.1 413 No\r\nContent-Length: 9\r\n\r\ntoo large")
			io.Copy(io.Discard, request.Body)
		}
	}).URL
	b := bridge.Start(t, url)
	for _, path := range []string{"/keep", "/close"} {
		for _, head := range []string{"Transfer-Encoding: chunked\r\n", "Content-Length: 8000000\r\n"} {
			t.Log("a client that listens while it sends")
			conn := b.Dial()
			io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: h\r\n"+head+"\r\n")
			var sending sync.WaitGroup
			sending.Go(func() {
				chunk := fmt.Sprintf("%x\r\n%s\r\n", 1000, strings.Repeat("x", 1000))
				if head[0] == 'C' {
					chunk = strings.Repeat("x", 1000)
				}
				for range 8000 {
					if _, err := io.WriteString(conn, chunk); err != nil {
						return
					}
				}
			})
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != 413 {
				t.Errorf("%s, %q: answered %v, %v; want 413", path, head, response, err)
			} else if body, err := io.ReadAll(response.Body); string(body) != "too large" {
				t.Errorf("%s, %q: answered %q, %v", path, head, body, err)
			}
			conn.Close()
			sending.Wait()

			t.Log("a client that listens only after it has sent")
			conn = b.Dial()
			io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n")
			for range 200 {
				if _, err := conn.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
					t.Errorf("%s: sending 200 kB failed: %v", path, err)
					break
				}
			}
			response, err = http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != 413 {
				t.Errorf("%s: after all was sent, answered %v, %v; want 413", path, response, err)
			}
		}
	}
}

// running reports whether a goroutine stands in a function.
func running(function string) bool { return strings.Contains(goroutines(), function+"(") }

func TestUpstreamDiesMidBody(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		request, err := http.ReadRequest(conn.Reader)
		if err != nil {
			return
		}
		switch request.RequestURI {
		case "/sized":
			conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 500_000))
		case "/chunked":
			conn.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7a120\r\n" + strings.Repeat("x", 500_000) + "\r\n")
		case "/little":
			conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx")
		}
		conn.Reset()
	}).URL
	b := bridge.Start(t, url)
	for _, path := range []string{"/sized", "/chunked", "/little"} {
		if a := testkit.Do(t, "GET", b.URL+path, ""); a.Err == nil {
			t.Errorf("%s: %d with a body of %d bytes that looks complete", path, a.Status, len(a.Body))
		}
	}
}

func TestClientLeavesMidDownload(t *testing.T) {
	t.Parallel()
	noticed := make(chan string, 100)
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("first"))
		w.(http.Flusher).Flush()
		untilGone(t, r) // silent from now on
		noticed <- r.URL.Path
	}))
	for _, path := range []string{"/body", "/chunked"} {
		conn := b.Dial()
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != 200 {
			t.Fatalf("answered %v, %v", response, err)
		}
		conn.Close()
		soon(t, noticed, "the upstream is told that the client of a download left")
	}
}

// untilGone waits for the client of a request to leave, or for the end of the test.
func untilGone(t testing.TB, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-t.Context().Done():
	}
}

// soon waits for a value, for less than the upstream's timeout takes.
func soon[T any](t testing.TB, c <-chan T, what string) (value T) {
	t.Helper()
	select {
	case value = <-c:
	case <-time.After(8 * time.Second):
		t.Errorf("not within 8s: %s", what)
	}
	return value
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	noticed, arrived := make(chan string, 100), make(chan struct{}, 100)
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		_, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			untilGone(t, r)
			err = context.Canceled
		}
		noticed <- err.Error()
	}))
	for _, test := range []struct{ name, raw string }{
		{"while it waits for an answer", "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"},
		{"in the middle of a sized body", "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("x", 9000)},
		{"in the middle of a chunk", "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n500\r\nhello"},
		{"between two chunks", "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
	} {
		for _, how := range []string{"FIN", "RST"} {
			conn := b.Dial()
			io.WriteString(conn, test.raw)
			soon(t, arrived, test.name+": the upstream is asked")
			if how == "RST" {
				conn.(*net.TCPConn).SetLinger(0)
			}
			conn.Close()
			soon(t, noticed, test.name+", "+how+": the upstream is told that the client left")
		}
	}
	if state := b.Upstream.Breaker(); state != "closed" {
		t.Errorf("the circuit is %s after clients left, want closed", state)
	}
}

// TestHalfClosedClient says that it has nothing more to send. It need not be
// answered, but an empty 200 would look like an answer.
func TestHalfClosedClient(t *testing.T) {
	t.Parallel()
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/smartid/") {
			testkit.Respond(w, 200, testkit.Waiting)
			return
		}
		untilGone(t, r)
	}))
	body := bridge.StatusBody("sesame-1")
	for _, raw := range []string{
		"GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
		fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nPrefer: wait=20\r\nContent-Length: %d\r\n\r\n%s", bridge.StatusPath(token), len(body), body),
	} {
		conn := b.Dial()
		io.WriteString(conn, raw)
		testkit.Eventually(t, "the request was read", func() bool {
			return running("upstream.(*Client).Forward") || b.LongPolls.Held() > 0
		})
		conn.(*net.TCPConn).CloseWrite()
		for _, a := range testkit.ReadAnswers(t, conn) {
			if a.Status == 200 && a.Body == "" {
				t.Errorf("%.20s…: answered an empty 200", raw)
			}
		}
	}
}

func TestMemoryOfStreams(t *testing.T) {
	// Not parallel: it measures the memory of the process.
	if testing.Short() {
		t.Skip("moves 80 MB")
	}
	const size = 40 << 20
	halfway := make(chan uint64, 2)
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 64<<10)
		if r.Method == "POST" {
			n := 0
			for {
				k, err := r.Body.Read(piece)
				if n += k; n-k < size/2 && n >= size/2 {
					halfway <- heap()
				}
				if err != nil {
					break
				}
			}
			fmt.Fprint(w, n)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for range size / len(piece) {
			w.Write(piece)
		}
	}))
	testkit.Do(t, "GET", b.URL+"/warm-up", "")
	before := heap()
	for _, path := range []string{"/up", bridge.StatusPath(token)} {
		response, err := testkit.Client.Post(b.URL+path, "application/octet-stream", io.LimitReader(zeros{}, size))
		testkit.NoError(t, err)
		got, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if string(got) != fmt.Sprint(size) {
			t.Errorf("%s: the upstream read %s bytes, want %d", path, got, size)
		}
		if during := <-halfway; during > before+10<<20 {
			t.Errorf("%s: an upload of 40 MB takes %d MB more memory", path, (during-before)>>20)
		}
	}
	response, err := testkit.Client.Get(b.URL + "/down")
	testkit.NoError(t, err)
	n, err := io.CopyN(io.Discard, response.Body, size/2)
	testkit.NoError(t, err)
	if during := heap(); during > before+10<<20 {
		t.Errorf("a download of 40 MB takes %d MB more memory", (during-before)>>20)
	}
	rest, err := io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if n+rest != size || err != nil {
		t.Errorf("downloaded %d bytes, %v; want %d", n+rest, err, size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// heap is the memory in use, garbage not counted.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSlowTransfers: all that takes longer than the time for a head, at once.
func TestSlowTransfers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 12 seconds")
	}
	sim, simulatorURL := testkit.Simulate(t, nil)
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", Outcome: simulator.Succeeded, SignAfter: time.Nanosecond, FileSize: 2 << 20})
	testkit.NoError(t, err)
	final := bridge.Start(t, simulatorURL)
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)

	var stories sync.WaitGroup
	defer stories.Wait()
	cut := func(what string, drip string, raw string) {
		stories.Go(func() {
			conn := b.Dial()
			start := time.Now()
			io.WriteString(conn, raw)
			stop := make(chan struct{})
			var dripping sync.WaitGroup
			dripping.Go(func() {
				for drip != "" {
					select {
					case <-stop:
						return
					case <-time.After(300 * time.Millisecond):
						io.WriteString(conn, drip)
					}
				}
			})
			answers := testkit.ReadAnswers(t, conn)
			close(stop)
			dripping.Wait()
			took := time.Since(start)
			if took < 5*time.Second || took > 15*time.Second || len(answers) > 1 || len(answers) == 1 && answers[0].Status != 408 && answers[0].Status != 400 {
				t.Errorf("%s: answered %v after %v; want the end after 10s, with 408", what, answers, took)
			}
		})
	}
	cut("silence", "", "")
	cut("half a request line", "", "GET /slow")
	cut("a head in drips", "X-Drip: x\r\n", "GET /slow HTTP/1.1\r\nHost: h\r\n")
	cut("a head that ends in bare LF", "", "GET /slow HTTP/1.1\nHost: h\n\n")
	cut("a body for a status request that never ends", "", "POST "+bridge.StatusPath(token)+" HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{")

	stories.Go(func() {
		conn := b.Dial()
		io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 8330\r\n\r\n"+strings.Repeat("x", 8200)) // the engine wants that much first
		for range 13 {
			time.Sleep(900 * time.Millisecond)
			io.WriteString(conn, "0123456789")
		}
		if got := testkit.Statuses(testkit.ReadAnswers(t, conn)); !slices.Equal(got, []int{200}) {
			t.Errorf("a slow upload: answered %v, want 200", got)
		}
	})
	stories.Go(func() {
		conn := final.Dial()
		body := bridge.StatusBody("sesame-1")
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", bridge.StatusPath(signing.Token), len(body), body)
		var got bytes.Buffer
		for range 12 {
			time.Sleep(time.Second)
			if _, err := io.CopyN(&got, conn, 32<<10); err != nil {
				t.Errorf("a slow reader of a final answer: %v after %d bytes", err, got.Len())
				return
			}
		}
		io.Copy(&got, conn)
		response, err := http.ReadResponse(bufio.NewReader(&got), nil)
		if err != nil {
			t.Errorf("a slow reader of a final answer: %v", err)
			return
		}
		whole, err := io.ReadAll(response.Body)
		if direct := testkit.Do(t, "POST", simulatorURL+bridge.StatusPath(signing.Token), body); err != nil || string(whole) != direct.Body {
			t.Errorf("a slow reader of a final answer got %d bytes, %v; want %d", len(whole), err, len(direct.Body))
		}
	})
	stories.Wait()
	for _, seen := range rec.Requests() {
		if seen.Target == "/slow" {
			t.Errorf("the upstream saw %+v", seen)
		}
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	arrived, finish := make(chan struct{}, 1), make(chan struct{})
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/smartid/") {
			testkit.Respond(w, 200, testkit.Waiting)
			return
		}
		arrived <- struct{}{}
		<-finish
		testkit.Respond(w, 200, "done")
	}))
	held, inFlight := make(chan testkit.Answer, 1), make(chan testkit.Answer, 1)
	go func() { held <- b.Poll(token, "sesame-1", "Prefer: wait=50") }()
	go func() { inFlight <- testkit.Do(t, "GET", b.URL+"/slow", "") }()
	<-arrived
	testkit.Eventually(t, "a poll is held", func() bool { return b.LongPolls.Held() == 1 })

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.Stop()
	}()
	if a := soon(t, held, "the held poll is answered"); a.Status != 200 || a.Body != testkit.Waiting {
		t.Errorf("the held poll got %d %q, %v; want what is known", a.Status, a.Body, a.Err)
	}
	testkit.Eventually(t, "no connection is accepted", func() bool {
		conn, err := net.Dial("tcp", b.Addr())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(finish)
	if a := soon(t, inFlight, "the request in flight is answered"); a.Status != 200 || a.Body != "done" {
		t.Errorf("the request in flight got %d %q, %v; want it finished", a.Status, a.Body, a.Err)
	}
	<-stopped
}

// TestShutdownBeforeTheUpstreamAnswers: who waits when the time for draining is almost over is answered, and
// told to ask again only where that does no harm.
func TestShutdownBeforeTheUpstreamAnswers(t *testing.T) {
	t.Parallel()
	arrived, hang := make(chan struct{}, 4), make(chan struct{})
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/document" {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		}
		arrived <- struct{}{}
		<-hang
	}))
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(release)
	poll, read, start := make(chan testkit.Answer, 1), make(chan testkit.Answer, 1), make(chan testkit.Answer, 1)
	go func() { poll <- b.Poll(token, "sesame-1") }()
	go func() { read <- testkit.Do(t, "GET", b.URL+"/certificates", "") }()
	go func() { start <- testkit.Do(t, "POST", b.URL+"/smartid/sign.json", bridge.StatusBody("sesame-1")) }()
	document, err := http.Get(b.URL + "/document")
	testkit.NoError(t, err)
	defer document.Body.Close()
	for range 4 {
		<-arrived
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.StopInHaste()
	}()
	for what, answer := range map[string]chan testkit.Answer{"poll": poll, "GET": read} {
		if a := soon(t, answer, "the "+what+" is answered"); a.Status != 503 || a.Header.Get("Retry-After") != "1" || !strings.Contains(a.Body, "shutting down") {
			t.Errorf("the %s got %d %v %q, %v; want to be told to try again", what, a.Status, a.Header, a.Body, a.Err)
		}
	}
	if a := soon(t, start, "the start is answered"); a.Status != 502 || a.Header.Get("Retry-After") != "" || !strings.Contains(a.Body, "shutting down") {
		t.Errorf("the start got %d %v %q, %v; want no word of trying again", a.Status, a.Header, a.Body, a.Err)
	}
	release()
	if _, err := io.ReadAll(document.Body); err != nil {
		t.Errorf("an answer that had begun: %v; want it whole", err)
	}
	<-stopped
}

// TestUploadAfterTheAnswer: a chunked body whose beginning was not seen, as its head came in
// two pieces, may end while its answer is sent. Over TLS each piece is one of reading.
func TestUploadAfterTheAnswer(t *testing.T) {
	t.Parallel()
	certificate := testkit.NewCertificate(t)
	b := bridge.Start(t, streaming(t, echo), func(s *bridge.Settings) {
		s.Proxy.TLS.CertFile, s.Proxy.TLS.KeyFile = certificate.CertFile, certificate.KeyFile
	})
	for _, trailer := range []string{"", "X-A: b\r\n"} {
		conn, err := tls.Dial("tcp", b.Addr(), &tls.Config{InsecureSkipVerify: true})
		testkit.NoError(t, err)
		io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: h\r\n")
		io.WriteString(conn, "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		testkit.NoError(t, err)
		io.WriteString(conn, "2\r\nhi\r\n")
		back := make([]byte, 2)
		_, err = io.ReadFull(response.Body, back)
		testkit.NoError(t, err)
		io.WriteString(conn, "0\r\n"+trailer+"\r\n")
		_, err = io.ReadAll(response.Body)
		if trailer == "" {
			testkit.NoError(t, err)
		}
		conn.Close()
	}
}
