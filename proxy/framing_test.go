package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

// after is an honest request behind another one; it ends the connection.
const after = "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// smuggled stands where one reading of a request sees its body and another the next
// request.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"

func TestFraming(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) { testkit.Respond(w, 200, r.RequestURI) })
	b := bridge.Start(t, rec.URL)
	post := func(lines, body string) string {
		return "POST /first HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n" + body
	}
	get := func(lines string) string { return "GET /first HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n" }
	const chunked = "5\r\nhello\r\n0\r\n\r\n"
	for _, test := range []struct {
		name, raw string
		refused   bool
		body      string // what the upstream reads, if it is not refused
	}{
		{"a sized body", post("Content-Length: 5\r\n", "hello"), false, "hello"},
		{"a chunked body", post("Transfer-Encoding: chunked\r\n", chunked), false, "hello"},
		{"a chunked body, in capitals", post("TRANSFER-ENCODING: Chunked\r\n", chunked), false, "hello"},
		{"no body", post("", ""), false, ""},
		{"an empty sized body", post("Content-Length: 0\r\n", ""), false, ""},
		{"GET with a body", strings.Replace(post("Content-Length: 5\r\n", "hello"), "POST", "GET", 1), false, "hello"},
		{"GET with a chunked body", strings.Replace(post("Transfer-Encoding: chunked\r\n", chunked), "POST", "GET", 1), false, "hello"},
		{"DELETE with a body", strings.Replace(post("Content-Length: 5\r\n", "hello"), "POST", "DELETE", 1), false, "hello"},
		{"a chunk extension", post("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n"), false, "hello"},
		// The engine keeps the header lines only; nothing can be hidden in the first.
		{"the first line ends in LF", "GET /first HTTP/1.1\nHost: h\r\n\r\n", false, ""},
		{"a trailer", post("Transfer-Encoding: chunked\r\nTrailer: X-T\r\n", "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"), false, "hello"},

		{"CL, TE", post(fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", 5+len(smuggled)), "0\r\n\r\n"+smuggled), true, ""},
		{"TE, CL", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE: xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE: gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE: chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE: chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE: identity, CL", post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello"+smuggled), true, ""},
		{"TE: identity", post("Transfer-Encoding: identity\r\n", smuggled), true, ""},
		{"TE empty", post("Transfer-Encoding:\r\n", smuggled), true, ""},
		{"TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE twice, once identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE in HTTP/1.0", strings.Replace(post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), "HTTP/1.1", "HTTP/1.0", 1), true, ""},
		{"TE folded", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE after a tab", post("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE before a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE quoted", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"TE after a space", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"space before TE", post(" Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), true, ""},
		{"CL twice, the same", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), true, ""},
		{"CL twice, different", post(fmt.Sprintf("Content-Length: %d\r\nContent-Length: 0\r\n", len(smuggled)), smuggled), true, ""},
		{"CL: 5, 5", post("Content-Length: 5, 5\r\n", "hello"), true, ""},
		{"CL: +5", post("Content-Length: +5\r\n", "hello"), true, ""},
		{"CL: -1", post("Content-Length: -1\r\n", smuggled), true, ""},
		{"CL: 0x5", post("Content-Length: 0x5\r\n", "hello"), true, ""},
		{"CL: 5_0", post("Content-Length: 5_0\r\n", "hello"), true, ""},
		{"CL empty", post("Content-Length:\r\n", smuggled), true, ""},
		{"CL of 20 digits", post("Content-Length: 18446744073709551621\r\n", "hello"), true, ""},
		{"CL: 5 a", post("Content-Length: 5 a\r\n", "hello"), true, ""},
		{"CL before a space", post("Content-Length : 5\r\n", "hello"), true, ""},
		{"CL before a tab", post("Content-Length\t: 5\r\n", "hello"), true, ""},
		{"a line without a colon", get("X-Broken\r\n"), true, ""},
		{"an empty name", get(": value\r\n"), true, ""},
		{"a space in a name", get("X Y: value\r\n"), true, ""},
		{"a folded value", get("X-Fold: a\r\n b\r\n"), true, ""},
		{"a folded value with a colon", get("X-Fold: a\r\n b: c\r\n"), true, ""},
		{"a value folded with a tab", get("X-Fold: a\r\n\tContent-Length: 5\r\n"), true, ""},
		{"a line that ends in LF", get("X-A: b\nX-C: d\r\n"), true, ""},
		{"an empty line of LF", "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\nhello", true, ""},
		{"a bare CR in a value", get("X-A: b\rX-C: d\r\n"), true, ""},
		{"a NUL in a value", get("X-A: b\x00c\r\n"), true, ""},
		{"a NUL in a name", get("X-\x00A: b\r\n"), true, ""},
		{"no Host", "GET /first HTTP/1.1\r\n\r\n", true, ""},
		{"two Hosts", get("Host: other\r\n"), true, ""},
		{"a Host with a path", "GET /first HTTP/1.1\r\nHost: a/b@c\r\n\r\n", true, ""},
		{"a chunk with a bare LF in its extension", post("Transfer-Encoding: chunked\r\n", "5;a=b\nhello\r\n0\r\n\r\n"+smuggled), true, ""},
		{"a trailer with a bare LF", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-A: b\n\r\n"+smuggled), true, ""},
		{"a trailer with a bare LF in its midst", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-A: b\nX-C: d\r\n\r\n"+smuggled), true, ""},
		{"a trailer that ends in a bare LF", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-A: b\r\n\n"+smuggled), true, ""},
		{"a chunk size of -1", post("Transfer-Encoding: chunked\r\n", "-1\r\n"+smuggled), true, ""},
		{"a chunk size of 0x3", post("Transfer-Encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n"+smuggled), true, ""},
		{"a chunk size too large", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n"+smuggled), true, ""},
		{"an empty chunk size", post("Transfer-Encoding: chunked\r\n", "\r\n"+smuggled), true, ""},
		{"a chunk longer than it says", post("Transfer-Encoding: chunked\r\n", "3\r\nhello\r\n0\r\n\r\n"+smuggled), true, ""},
		{"a chunk without CRLF", post("Transfer-Encoding: chunked\r\n", "5\r\nhello0\r\n\r\n"+smuggled), true, ""},
		{"a control byte in the path", "GET /fi\x01rst HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
		{"a space in the path", "GET /fi rst HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
		{"absolute form of another scheme", "GET ftp://other/first HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
		{"absolute form without a host", "GET http:///first HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
		{"absolute form with a user", "GET http://a@other/first HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
		{"no slash", "GET first HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
		{"HTTP/9.9", "GET /first HTTP/9.9\r\nHost: h\r\n\r\n", true, ""},
		{"HTTP/2.0", "GET /first HTTP/2.0\r\nHost: h\r\n\r\n", true, ""},
		{"HTTP/0.9", "GET /first\r\n\r\n", true, ""},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec.Reset()
			// What is refused must not be echoed.
			raw := strings.ReplaceAll(test.raw, "Host: h\r\n", "Host: h\r\nCookie: sid=sesame-cookie\r\n")
			answers := b.Send(raw + after)
			if strings.Contains(test.name, "bare LF") && test.refused { // and does not wait for more
				if alone := b.Send(raw); !slices.Equal(testkit.Statuses(alone), []int{400}) {
					t.Errorf("with nothing behind it: answered %v; want 400", testkit.Statuses(alone))
				}
			}
			var targets []string
			for _, seen := range rec.Requests() {
				if seen.Err == nil {
					targets = append(targets, seen.Target)
				}
			}
			if strings.Contains(fmt.Sprint(targets), "smuggled") {
				t.Errorf("the upstream saw %q", targets)
			}
			if !test.refused {
				if got := testkit.Statuses(answers); !slices.Equal(got, []int{200, 200}) || !slices.Equal(targets, []string{"/first", "/after"}) {
					t.Fatalf("answered %v, the upstream saw %q; want both requests", got, targets)
				}
				if got := rec.Requests()[0].Body; got != test.body {
					t.Errorf("the upstream read %q, want %q", got, test.body)
				}
				return
			}
			if len(targets) > 0 {
				t.Errorf("the upstream saw %q, want nothing", targets)
			}
			if got := testkit.Statuses(answers); !slices.Equal(got, []int{400}) {
				t.Fatalf("answered %v; want 400 and the end of the connection", got)
			}
			refusal := answers[0]
			if !refusal.Response.Close || refusal.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(refusal.Body, `{"status":"error","message":"`) {
				t.Errorf("refused with %v %q; want Connection: close and a JSON error", refusal.Header, refusal.Body)
			}
			for _, part := range []string{"sesame", "first", "evil", "smuggled", "hello", "X-"} {
				if strings.Contains(refusal.Body, part) {
					t.Errorf("the refusal %q echoes %q of the request", refusal.Body, part)
				}
			}
		})
	}
}

// TestFramingOfStatusRequests sends what has a clear end, but could be read by
// another parser to another end, to the endpoint that is answered from memory.
func TestFramingOfStatusRequests(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) { testkit.Respond(w, 200, testkit.Waiting) })
	b := bridge.Start(t, rec.URL)
	head := "POST " + bridge.StatusPath(token) + " HTTP/1.1\r\nHost: h\r\n"
	body := bridge.StatusBody("sesame-1")
	sized := head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	chunks := head + "Transfer-Encoding: chunked\r\n\r\n"
	chunked := chunks + fmt.Sprintf("1\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", body[:1], len(body)-1, body[1:])
	for _, test := range []struct {
		name, raw string
		want      []int
	}{
		{"sized, chunked and sized", sized + chunked + sized + after, []int{200, 200, 200, 200}},
		{"an unreadable sized body", head + "Content-Length: 5\r\n\r\n{{{{{" + sized + after, []int{200, 200, 200}},
		{"an unreadable chunked body", chunks + "5\r\n{{{{{\r\n0\r\n\r\n" + sized + after, []int{200, 200, 200}},
		{"an empty body", head + "Content-Length: 0\r\n\r\n" + sized + after, []int{200, 200, 200}},
		{"broken chunks", chunks + "5\r\n{\"acc\r\nzz\r\n" + smuggled + after, []int{400}},
		{"chunks that end early", chunks + fmt.Sprintf("%x\r\n%s\r\n0\r\nX: y\r\n\r\n", len(body), body) + after, []int{200, 200}},
		{"CL, TE", head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s", len(body), body) + after, []int{400}},
	} {
		if got := testkit.Statuses(b.Send(test.raw)); !slices.Equal(got, test.want) {
			t.Errorf("%s: answered %v, want %v", test.name, got, test.want)
		}
	}
	for _, seen := range rec.Requests() {
		if seen.Target != bridge.StatusPath(token) && seen.Target != "/after" {
			t.Errorf("the upstream saw %s %s", seen.Method, seen.Target)
		}
	}
}

// TestEarlyAnswerLeavesNoRest has the upstream answer before the body was read, which
// must not make requests out of what is in it.
func TestEarlyAnswerLeavesNoRest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var lines []string
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		line, err := conn.Reader.ReadString('\n')
		if err != nil {
			return
		}
		mu.Lock()
		lines = append(lines, line)
		mu.Unlock()
		for line != "\r\n" {
			if line, err = conn.Reader.ReadString('\n'); err != nil {
				return
			}
		}
		conn.Say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		conn.CloseWrite()
		conn.UntilClosed() // a reset could overtake the answer
	}).URL
	b := bridge.Start(t, url)
	padding := strings.Repeat("x", 8<<10)
	for _, test := range []struct {
		name, head, body string
		more             []int // answered behind the first one
	}{
		{"sized, never to end", fmt.Sprintf("Content-Length: %d\r\n", len(padding)+len(smuggled)+300<<10), padding + smuggled, nil},
		{"chunked, never to end", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n", 1<<20, padding+smuggled), nil},
		{"sized", fmt.Sprintf("Content-Length: %d\r\n", len(padding)+len(smuggled)), padding + smuggled + after, []int{413}},
	} {
		conn := b.Dial()
		io.WriteString(conn, "POST /first HTTP/1.1\r\nHost: h\r\n"+test.head+"\r\n"+test.body)
		r := bufio.NewReader(conn)
		r.Peek(1) // the answer is there before the end of the request
		conn.(*net.TCPConn).CloseWrite()
		if got := testkit.Statuses(testkit.ReadAnswers(t, r)); !slices.Equal(got, append([]int{413}, test.more...)) {
			t.Errorf("%s: answered %v, want 413 and then %v", test.name, got, test.more)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range lines {
		if line != "POST /first HTTP/1.1\r\n" && line != "GET /after HTTP/1.1\r\n" {
			t.Errorf("the upstream saw %q", line)
		}
	}
}

func TestPipelinedRequestsAllWork(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if r.Method == "POST" && strings.HasPrefix(r.RequestURI, "/smartid/") {
			testkit.Respond(w, 200, testkit.Waiting)
			return
		}
		testkit.Respond(w, 200, r.Method+" "+r.RequestURI+" "+body)
	})
	b := bridge.Start(t, rec.URL)
	var raw strings.Builder
	var want []string
	for i := range 50 {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&raw, "GET /g/%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
			want = append(want, fmt.Sprintf("GET /g/%d ", i))
		case 1:
			fmt.Fprintf(&raw, "POST /p/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", i)
			want = append(want, fmt.Sprintf("POST /p/%d hello", i))
		case 2:
			fmt.Fprintf(&raw, "PUT /c/%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", i)
			want = append(want, fmt.Sprintf("PUT /c/%d hello", i))
		case 3:
			body := bridge.StatusBody("sesame-1")
			fmt.Fprintf(&raw, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", bridge.StatusPath(token), len(body), body)
			want = append(want, testkit.Waiting)
		}
	}
	raw.WriteString(after)
	want = append(want, "GET /after ")
	var got []string
	for _, a := range b.Send(raw.String()) {
		got = append(got, a.Body)
	}
	if !slices.Equal(got, want) {
		t.Errorf("answered %q,\nwant %q", got, want)
	}
}

func TestHTTP10(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.RequestURI == "/flushed" { // an answer without a length
			w.Write([]byte("one "))
			w.(http.Flusher).Flush()
			w.Write([]byte("two"))
			return
		}
		testkit.Respond(w, 200, testkit.Waiting)
	})
	b := bridge.Start(t, rec.URL)
	body := bridge.StatusBody("sesame-1")
	poll := fmt.Sprintf("POST %s HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%s", bridge.StatusPath(token), len(body), body)
	get := "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	if got := testkit.Statuses(b.Send(poll + get + poll + "GET /x HTTP/1.0\r\n\r\n")); !slices.Equal(got, []int{200, 200, 200, 200}) {
		t.Errorf("with keep-alive: answered %v, want four times 200", got)
	}
	if got := testkit.Statuses(b.Send(strings.ReplaceAll(poll, "Connection: keep-alive\r\n", "") + after)); !slices.Equal(got, []int{200}) {
		t.Errorf("without keep-alive: answered %v, want 200 and the end of the connection", got)
	}
	conn := b.Dial()
	io.WriteString(conn, "GET /flushed HTTP/1.0\r\n\r\n")
	answers := testkit.ReadAnswers(t, conn)
	if len(answers) != 1 || answers[0].Body != "one two" || len(answers[0].Response.TransferEncoding) > 0 {
		t.Errorf("an answer without a length: %+v; want the end of the connection to end it", answers)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, body string) { testkit.Respond(w, 200, r.Method) })
	b := bridge.Start(t, rec.URL)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL", "PURGE", "QUERY"} {
		if a := testkit.Do(t, method, b.URL+"/m", ""); a.Status != 200 || a.Body != method {
			t.Errorf("%s: %d %q; want it to pass through", method, a.Status, a.Body)
		}
	}
	t.Log("a method that nobody knows passes through, or is refused clearly")
	for _, method := range []string{"FOO", "get", "M-SEARCH"} {
		a := testkit.Do(t, method, b.URL+"/m", "")
		passed := a.Status == 200 && a.Body == method
		refused := a.Status == 501 && a.Header.Get("Content-Type") == "application/json" && strings.HasPrefix(a.Body, `{"status":"error"`)
		if !passed && !refused {
			t.Errorf("%s: %d %q %v", method, a.Status, a.Body, a.Header)
		}
	}
}

func TestClearRefusals(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	for _, test := range []struct {
		name, raw string
		want      int
		message   string
	}{
		{"TRACE", "TRACE /x HTTP/1.1\r\nHost: h\r\n\r\n", 405, "TRACE is not supported"},
		{"CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", 405, "CONNECT is not supported"},
		{"CONNECT to a path", "CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n", 405, "CONNECT is not supported"},
	} {
		answers := b.Send(test.raw + after)
		if len(answers) != 1 || answers[0].Status != test.want || !strings.Contains(answers[0].Body, test.message) || !answers[0].Response.Close {
			t.Errorf("%s: answered %v; want %d, %q and the end of the connection", test.name, answers, test.want, test.message)
		}
	}
	if n := rec.Count(); n > 0 {
		t.Errorf("the upstream saw %d requests, want none", n)
	}
}

// TestOffersToUpgradeAreIgnored: they are no demands (RFC 9110, 7.8).
func TestOffersToUpgradeAreIgnored(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	for _, offer := range []string{"h2c", "TLS/1.2", "h2c, TLS/1.2", "TLS/1.0, HTTP/2.0", "websocket", "WebSocket", "IRC/6.9"} {
		for _, request := range []struct{ method, path, body string }{
			{"GET", "/x", ""}, {"POST", bridge.StatusPath(token), bridge.StatusBody("sesame-1")},
		} {
			a := testkit.Do(t, request.method, b.URL+request.path, request.body, "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+offer, "HTTP2-Settings: AAMAAABkAAQAAP__")
			if seen := rec.Last(t); a.Status != 200 || len(seen.Header["Upgrade"])+len(seen.Header["Http2-Settings"])+len(seen.Header["Connection"]) > 0 {
				t.Errorf("Upgrade: %s to %s: %d, the upstream saw %v; want it ignored", offer, request.path, a.Status, seen.Header)
			}
		}
	}
}

// TestAbsoluteForm: its authority takes the place of Host, and never chooses where the
// request goes (RFC 9112, 3.2.2).
func TestAbsoluteForm(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL+"/base")
	for _, test := range []struct{ target, path, host string }{
		{"http://other/x?y=1", "/base/x?y=1", "other"},
		{"HTTP://other:81/x", "/base/x", "other:81"},
		{"https://other/a%2Fb/../c", "/base/a%2Fb/../c", "other"},
		{"http://other", "/base/", "other"},
		{"http://other?x", "/base/?x", "other"},
		{"http://[::1]:8080/", "/base/", "[::1]:8080"},
	} {
		rec.Reset()
		answers := b.Send("GET " + test.target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if got := testkit.Statuses(answers); !slices.Equal(got, []int{200}) {
			t.Errorf("%s: answered %v", test.target, answers)
			continue
		}
		seen := rec.Last(t)
		if seen.Target != test.path || seen.Header.Get("X-Forwarded-Host") != test.host || "http://"+seen.Host != rec.URL {
			t.Errorf("%s: the upstream %s saw %s for %s; want %s for %s", test.target, seen.Host, seen.Target, seen.Header.Get("X-Forwarded-Host"), test.path, test.host)
		}
	}
	rec.Reset()
	body := bridge.StatusBody("sesame-1")
	answers := b.Send(fmt.Sprintf("POST http://other%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", bridge.StatusPath(token), len(body), body))
	if len(answers) != 1 || answers[0].Header.Get("Cache-Status") == "" {
		t.Errorf("a status request in absolute form: %v; want it to be one", answers)
	}
}
