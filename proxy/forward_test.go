package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/bridge"
)

func TestPassThroughUnchanged(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) { testkit.Respond(w, 200, "{}") })
	b := bridge.Start(t, rec.URL+"/base")
	for _, target := range []string{
		"/", "/a/b", "/a%2Fb/../c//d?x=1;y=%zz", "/%41", "/a;p=1/b", "//x/y", "///", "/a?", "/?a", "/a?b?c", "/a/./b/", "/a%00b", "/a%0d%0aX:1",
		"/a|b", "/~{}^`", "/a'\"<>", "/smartid/sign/status/", "/smartid/sign/status/a%2Fb.json", "/smartid/sign/status/a%00b.json",
		"/smartid/sign/status/..%2fx.json", "/x/../smartid/sign/status/" + token + ".json", "//smartid/sign/status/" + token + ".json",
		"/SMARTID/sign/status/" + token + ".json", "/smartid/sign/status/" + token + ".json/", "/smartid/sign/%73tatus/" + token + ".json",
		"/smartid/sign/status/" + token + ".JSON", "/smartid/sign/status/" + strings.Repeat("a", 129) + ".json", "/smartid/sign/status/a.b.json",
	} {
		rec.Reset()
		body := bridge.StatusBody("sesame-1")
		answers := b.Send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", target, len(body), body))
		if got := testkit.Statuses(answers); !slices.Equal(got, []int{200}) {
			t.Errorf("%s: answered %v %v", target, got, answers)
			continue
		}
		seen := rec.Last(t)
		if seen.Method != "POST" || seen.Target != "/base"+target || seen.Body != body {
			t.Errorf("POST %s: the upstream saw %s %s %q", target, seen.Method, seen.Target, seen.Body)
		}
		if answers[0].Header.Get("Cache-Status") != "" {
			t.Errorf("%s: Cache-Status = %q for what is not cached", target, answers[0].Header.Get("Cache-Status"))
		}
	}
	if a := b.Send("GET /%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); !strings.Contains(rec.Raw(), "GET /base/%zz HTTP/1.1\r\n") {
		t.Errorf("/%%zz: answered %v; it did not arrive as it was", a)
	}
	if a := b.Send("GET /é HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); len(a) != 1 || a[0].Status != 200 && a[0].Status != 400 {
		t.Errorf("a path that is not ASCII: %v", a)
	}
}

// TestNamesThatReadTheSame: CGI servers take "_" for "-", so who is not trusted could say
// there what it may not say here.
func TestNamesThatReadTheSame(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	a := testkit.Do(t, "GET", b.URL+"/x", "", "X_Forwarded_For: 6.6.6.6", "X-Forwarded_Proto: https", "x_forwarded-host: h", "X_Real_IP: 6.6.6.6",
		"Transfer_Encoding: chunked", "Content_Length: 5", "X_Request_Id: a", "Pollbridge_Webhook: b", "X_Forwarded_Anything: c",
		"Proxy_Authorization: d", "Via_: e", "X_Mine: kept", "Access_Token: kept")
	if a.Status != 200 {
		t.Fatalf("answered %d", a.Status)
	}
	for name := range rec.Last(t).Header {
		if strings.Contains(name, "_") && name != "X_mine" && name != "Access_token" && name != "Via_" {
			t.Errorf("the upstream saw %s", name)
		}
	}
	if seen := rec.Last(t).Header; seen.Get("X_mine") != "kept" || seen.Get("Access_token") != "kept" {
		t.Errorf("fields of another meaning did not pass: %v", seen)
	}
}

// TestNearlyStatusRequests sends what is no status request to the path of one: none
// of it may be answered from memory, and all of it arrives as it was sent.
func TestNearlyStatusRequests(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	for _, body := range []string{
		"", "{}", "[]", "null", `"text"`, "{", `{"access_token":"sesame-1"`, `{"access_token":"sesame-1"}{}`, "\xef\xbb\xbf" + bridge.StatusBody("sesame-1"),
		`{"access_token":"sesame-1","access_token":"sesame-2"}`, `{"access_token":"sesame-1","Access_Token":"sesame-2"}`,
		`{"access_token":"sesame-1\xff"}`, `{"access_token":["sesame-1"]}`, `{"access_token":1}`, `{"access_token":null}`, `{"access_token":""}`,
		`{"ACCESS_TOKEN":"sesame-1"}`, "access_token=sesame-1", bridge.StatusBody("sesame-1") + "\x00", "{" + strings.Repeat(`"a":{`, 20_000),
		bridge.StatusBody(strings.Repeat("x", 70<<10)), bridge.StatusBody("sesame-1") + strings.Repeat(" ", 64<<10),
	} {
		for _, chunked := range []bool{false, true} {
			rec.Reset()
			for range 2 {
				a := doFramed(t, b.URL+bridge.StatusPath(token), body, chunked)
				if a.Status != 200 || a.Header.Get("Cache-Status") != "" {
					t.Errorf("%.60q: %d with Cache-Status %q; want it passed through", body, a.Status, a.Header.Get("Cache-Status"))
				}
			}
			if seen := rec.Requests(); len(seen) != 2 || seen[0].Body != body || seen[1].Body != body {
				t.Errorf("%.60q: the upstream saw %d requests; want two with this body", body, len(seen))
			}
		}
	}
	for _, field := range []string{"Authorization: Bearer sesame-1", "Authorization: ", "Content-Encoding: gzip", "authorization:Basic x"} {
		if a := testkit.Do(t, "POST", b.URL+bridge.StatusPath(token), bridge.StatusBody("sesame-1"), field); a.Header.Get("Cache-Status") != "" {
			t.Errorf("with %s: Cache-Status %q; want it passed through", field, a.Header.Get("Cache-Status"))
		}
	}
	for _, query := range []string{"access_token=sesame-2", "ACCESS_TOKEN=x", "access.token=x", "access_token[]=x", "a;b=c", "a=%zz", "a", "=a", "%61ccess_token=x", "a=%00"} {
		rec.Reset()
		a := testkit.Do(t, "POST", b.URL+bridge.StatusPath(token)+"?"+query, bridge.StatusBody("sesame-1"))
		if seen := rec.Last(t); a.Header.Get("Cache-Status") != "" || seen.Target != bridge.StatusPath(token)+"?"+query {
			t.Errorf("with ?%s: Cache-Status %q, the upstream saw %s; want it passed through", query, a.Header.Get("Cache-Status"), seen.Target)
		}
	}
}

// doFramed posts a body in chunks, or with its length.
func doFramed(t testing.TB, url, body string, chunked bool, fields ...string) testkit.Answer {
	t.Helper()
	if chunked {
		return testkit.DoStreaming(t, "POST", url, io.MultiReader(strings.NewReader(body)), fields...)
	}
	return testkit.Do(t, "POST", url, body, fields...)
}

func TestRequestHeaderHygiene(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	raw := "POST /x HTTP/1.1\r\nHost: bridge.example:8080\r\nContent-Length: 2\r\nContent-Type: text/x; a=b\r\nUser-Agent: client/1\r\n" +
		"Connection: close, X-Hop,x-other-hop\r\nX-Hop: 1\r\nX-Other-Hop: 2\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: X-T\r\nProxy-Connection: keep-alive\r\n" +
		"Proxy-Authorization: Basic sesame\r\nProxy-Authenticate: x\r\nPollbridge-Webhook: https://hook.example/\r\n" +
		"Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n" +
		"Cookie: a=1; b=2\r\nAuthorization: Bearer sesame-1\r\nX-Many: one\r\nX-Many: two, three\r\nX-Many: four\r\nX-Empty:\r\n" +
		"Accept-Encoding: br\r\nVia: 1.0 before\r\nIf-None-Match: \"x\"\r\nRange: bytes=0-1\r\n\r\nhi"
	want := http.Header{
		"Content-Length": {"2"}, "Content-Type": {"text/x; a=b"}, "User-Agent": {"client/1"}, "Cookie": {"a=1; b=2"}, "Authorization": {"Bearer sesame-1"},
		"X-Many": {"one", "two, three", "four"}, "X-Empty": {""}, "Accept-Encoding": {"br"}, "Via": {"1.0 before", "1.1 pollbridge"},
		"If-None-Match": {`"x"`}, "Range": {"bytes=0-1"},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"bridge.example:8080"},
	}
	for _, chunked := range []bool{false, true} {
		if chunked {
			raw = strings.Replace(strings.Replace(raw, "Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n", 1), "\r\n\r\nhi", "\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 1)
			delete(want, "Content-Length")
		}
		if got := testkit.Statuses(b.Send(raw)); !slices.Equal(got, []int{200}) {
			t.Fatalf("answered %v, want 200", got)
		}
		seen := rec.Last(t)
		wantHeader(t, seen.Header, want, "X-Request-Id", "Connection")
		if own := seen.Header.Get("Connection"); own != "" && own != "close" { // of this connection, if any
			t.Errorf("Connection = %q, want nothing of the client's", own)
		}
		if want := strings.TrimPrefix(rec.URL, "http://"); seen.Host != want || seen.Body != "hi" {
			t.Errorf("Host = %q, body %q; want the upstream's %q, hi", seen.Host, seen.Body, want)
		}
	}

	t.Log("what is not there is not invented")
	b.Send("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	wantHeader(t, rec.Last(t).Header, http.Header{
		"Via": {"1.1 pollbridge"}, "X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"h"},
	}, "X-Request-Id")
	b.Send("POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	if got := rec.Last(t).Header; len(got["Content-Type"]) > 0 {
		t.Errorf("Content-Type = %q; want none", got["Content-Type"])
	}
}

// wantHeader compares all fields but the ones that change.
func wantHeader(t testing.TB, got, want http.Header, but ...string) {
	t.Helper()
	for name, values := range want {
		if !slices.Equal(got[name], values) {
			t.Errorf("%s = %q, want %q", name, got[name], values)
		}
	}
	for name, values := range got {
		if _, known := want[name]; !known && !slices.Contains(but, name) {
			t.Errorf("%s = %q, want none", name, values)
		}
	}
}

func TestCookiesUnchanged(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	for _, cookie := range []string{"a=1;b=2", "a=1; a=2", `a="x y"; b`, "a=1;  b=2;", "a", "a==; b=%20"} {
		b.Send("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: " + cookie + "\r\n\r\n")
		if got := rec.Last(t).Header["Cookie"]; !slices.Equal(got, []string{cookie}) {
			t.Errorf("Cookie: %s arrived as %q", cookie, got)
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL, func(s *bridge.Settings) {
		s.Proxy.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	testkit.Do(t, "GET", b.URL+"/x", "", "X-Forwarded-For: 192.0.2.7, 10.1.2.3", "X-Forwarded-For: 10.9.9.9", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: sign.example", "Forwarded: for=192.0.2.7;proto=https")
	header := rec.Last(t).Header
	for name, want := range map[string][]string{
		"X-Forwarded-For": {"192.0.2.7, 10.1.2.3, 10.9.9.9, 127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"sign.example"},
		"Forwarded": {"for=192.0.2.7;proto=https"},
	} {
		if !slices.Equal(header[name], want) {
			t.Errorf("%s = %q, want %q", name, header[name], want)
		}
	}
	if log := b.Log.String(); !strings.Contains(log, "client=192.0.2.7") {
		t.Errorf("the log names another client: %s", log)
	}
}

func TestAnswerHeaderHygiene(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		for {
			request, err := http.ReadRequest(conn.Reader)
			if err != nil {
				return
			}
			io.Copy(io.Discard, request.Body) // what is unread would make a reset of the end
			connection := "Connection: X-Hop\r\n"
			if request.RequestURI == "/close" {
				connection = "Connection: close\r\n"
			}
			conn.Say("HTTP/1.1 207 Odd Text\r\n" + connection + "X-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n" +
				"Trailer: X-T\r\nTE: x\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\nX-Many: one\r\nX-Many: two\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n" +
				"Server: vendor\r\nETag: \"x\"\r\nVia: 1.0 vendor\r\nX-Request-Id: theirs\r\nLocation: http://elsewhere.example/\r\nX-Empty:\r\nContent-Encoding: gzip\r\n" +
				"Content-Length: 3\r\n\r\nabc")
			if request.RequestURI == "/close" {
				return
			}
		}
	}).URL
	b := bridge.Start(t, url)
	for _, path := range []string{"/keep", "/close", "/keep?chunked", "/close?chunked"} {
		path, chunked := strings.CutSuffix(path, "?chunked")
		a := doFramed(t, b.URL+path, "hi", chunked, "X-Request-Id: mine")
		if a.Status != 207 || a.Body != "abc" {
			t.Errorf("%s: %d %q, %v", path, a.Status, a.Body, a.Err)
		}
		want := http.Header{
			"Set-Cookie": {"a=1; Path=/", "b=2; HttpOnly"}, "X-Many": {"one", "two"}, "Server": {"vendor"},
			"Etag": {`"x"`}, "Via": {"1.0 vendor", "1.1 pollbridge"}, "X-Request-Id": {"mine"}, "Location": {"http://elsewhere.example/"},
			"X-Empty": {""}, "Content-Encoding": {"gzip"}, "Content-Length": {"3"},
		}
		if path == "/close" {
			want["X-Hop"] = []string{"1"} // not named by Connection there
		}
		wantHeader(t, a.Header, want, "Date") // the engine writes its own, as other proxies do
	}
}

func TestAnswersWithoutBody(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		for {
			request, err := http.ReadRequest(conn.Reader)
			if err != nil {
				return
			}
			switch request.RequestURI {
			case "/204":
				conn.Say("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n")
			case "/304":
				conn.Say("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5000\r\n\r\n")
			case "/0":
				conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			case "/103":
				conn.Say("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			case "/head":
				conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 123456\r\nContent-Type: a/b\r\n\r\n")
			case "/head-chunked":
				conn.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			}
		}
	}).URL
	b := bridge.Start(t, url)
	for _, test := range []struct {
		method, path string
		status       int
		length       []string
	}{
		{"GET", "/204", 204, nil}, {"GET", "/304", 304, nil}, {"GET", "/0", 200, []string{"0"}}, {"GET", "/103", 200, []string{"0"}},
		{"HEAD", "/head", 200, []string{"123456"}}, {"HEAD", "/head-chunked", 200, nil}, {"HEAD", "/204", 204, nil},
	} {
		// The pipelined request finds out whether the answer ends where it says.
		conn := b.Dial()
		io.WriteString(conn, test.method+" "+test.path+" HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\nGET /0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		r := bufio.NewReader(conn)
		first, err := http.ReadResponse(r, &http.Request{Method: test.method})
		if test.path == "/103" && err == nil {
			if first.StatusCode != 103 || first.Header.Get("Link") != "</x>" {
				t.Errorf("the interim answer is %d with %v; want 103 with its Link", first.StatusCode, first.Header)
			}
			first, err = http.ReadResponse(r, &http.Request{Method: test.method})
		}
		if err != nil {
			t.Errorf("%s %s: %v", test.method, test.path, err)
			continue
		}
		if first.StatusCode != test.status || !slices.Equal(first.Header["Content-Length"], test.length) {
			t.Errorf("%s %s: %d with Content-Length %q; want %d, %q", test.method, test.path, first.StatusCode, first.Header["Content-Length"], test.status, test.length)
		}
		second, err := http.ReadResponse(r, nil)
		if err != nil || second.StatusCode != 200 {
			t.Errorf("%s %s: the answer behind it is %v, %v", test.method, test.path, second, err)
		}
	}
}

func TestMultipartUnchanged(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, _ := w.CreateFormFile("file", "döc \"1\".pdf")
	part.Write(bytes.Repeat([]byte("%PDF-1.7\r\n\x00\xff"), 5000))
	w.WriteField("access_token", "sesame-1")
	w.Close()
	for name, body := range map[string]string{
		"a form":      "preamble\r\n" + form.String() + "epilogue",
		"not a form":  "no boundary in here",
		"a half form": form.String()[:1000],
	} {
		a := testkit.Do(t, "POST", b.URL+"/api/document/upload.json", body, "Content-Type: "+w.FormDataContentType())
		if a.Status != 200 {
			t.Errorf("%s: %d %q %v; want 200", name, a.Status, a.Body, a.Err)
			continue
		}
		if got := rec.Last(t).Body; got != body {
			t.Errorf("%s: the upstream read %d bytes, %.80q; want the %d that were sent", name, len(got), got, len(body))
		}
	}
}

func TestTrailersEndHere(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("Trailer", "X-Sum")
		w.Write([]byte("abc"))
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "1")
	})
	b := bridge.Start(t, rec.URL)
	answers := b.Send("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n" + after)
	if len(answers) != 2 || answers[0].Body != "abc" || len(answers[0].Header["Trailer"]) > 0 || len(answers[0].Response.Trailer) > 0 {
		t.Errorf("answered %v; want abc without a trailer", answers)
	}
	seen := rec.Requests()[0]
	if seen.Body != "hi" || len(seen.Header["Trailer"])+len(seen.Header["X-T"]) > 0 || strings.Contains(rec.Raw(), "X-T") {
		t.Errorf("the upstream saw %+v; want no trailer", seen)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	for _, path := range []string{"/x", bridge.StatusPath(token)} {
		conn := b.Dial()
		body := bridge.StatusBody("sesame-1")
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", path, len(body))
		r := bufio.NewReader(conn)
		if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%s: answered %q, %v; want 100 Continue", path, line, err)
		}
		r.ReadString('\n')
		io.WriteString(conn, body)
		response, err := http.ReadResponse(r, nil)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%s: answered %v, %v; want 200", path, response, err)
		}
		if seen := rec.Last(t); seen.Body != body || len(seen.Header["Expect"]) > 0 {
			t.Errorf("%s: the upstream saw %+v; want the body and no Expect", path, seen)
		}
	}
}

// TestUpstreamFailsWhilePassingThrough has the standard answers of a gateway.
func TestUpstreamFailsWhilePassingThrough(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		request, err := http.ReadRequest(conn.Reader)
		if err != nil {
			return
		}
		io.Copy(io.Discard, request.Body)
		switch request.RequestURI {
		case "/reset":
			conn.Reset()
		case "/garbage":
			conn.Say("what?\r\n\r\n")
		case "/half":
			conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		case "/half-large":
			conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 200_000))
		case "/half-chunked":
			conn.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe")
		case "/500":
			conn.Say("HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 4\r\n\r\noops")
		case "/302":
			conn.Say("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
		case "/huge-head":
			conn.Say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200<<10) + "\r\nContent-Length: 0\r\n\r\n")
		}
	}).URL
	b := bridge.Start(t, url, func(s *bridge.Settings) { s.Breaker.MinRequests = 1000 })
	for i, test := range []struct {
		path   string
		status int
		body   string // its beginning
		broken bool
	}{
		{"/reset", 502, "", false}, {"/garbage", 502, "", false}, {"/half", 502, "", false}, {"/huge-head", 502, "", false},
		{"/half-large", 200, "", true}, {"/half-chunked", 200, "hello", true}, {"/500", 500, "oops", false}, {"/302", 302, "", false},
		{"/reset", 502, "", false}, {"/garbage", 502, "", false}, {"/half", 502, "", false}, {"/huge-head", 502, "", false},
		{"/half-large", 200, "", true}, {"/half-chunked", 200, "hello", true}, {"/500", 500, "oops", false}, {"/302", 302, "", false},
	} {
		chunked := i >= 8 // those take another way
		a := doFramed(t, b.URL+test.path, "hi", chunked)
		if a.Status != test.status || test.body != "" && !strings.HasPrefix(a.Body, test.body) || (a.Err != nil) != test.broken {
			t.Errorf("%s: %d %.100q, %v; want %d %q, broken %t", test.path, a.Status, a.Body, a.Err, test.status, test.body, test.broken)
		}
		if a.Status == 502 && (!strings.HasPrefix(a.Body, `{"status":"error"`) || !strings.HasSuffix(a.Body, `"error_code":50002}`)) {
			t.Errorf("%s: %q; want the standard error", test.path, a.Body)
		}
		if a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: no X-Request-Id", test.path)
		}
	}
	metrics := b.Metrics()
	for _, line := range []string{
		`pollbridge_passthrough_requests_total{code="502"} 8`, `pollbridge_passthrough_requests_total{code="500"} 2`, `pollbridge_passthrough_requests_total{code="302"} 2`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

func TestUpstreamRefusesConnections(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	ln.Close()
	b := bridge.Start(t, "http://"+ln.Addr().String())
	start := time.Now()
	for range 15 { // the last ones meet the open circuit
		a := testkit.Do(t, "POST", b.URL+"/x", "hi")
		if a.Status != 502 && a.Status != 503 || !strings.HasPrefix(a.Body, `{"status":"error"`) {
			t.Errorf("%d %q; want 502 or 503", a.Status, a.Body)
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v; want no wait", took)
	}
	if a := b.Poll(token, "sesame-1"); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("poll = %d %v; want 503 and Retry-After", a.Status, a.Header)
	}
}

// TestBrokenUploadsAreNotTheUpstreamsFault sends bodies that are shorter than they
// say: however many, they must not open the circuit for everybody else.
func TestBrokenUploadsAreNotTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	rec := testkit.NewUpstream(t, nil)
	b := bridge.Start(t, rec.URL)
	for i := range 30 {
		conn := b.Dial()
		switch i % 3 {
		case 0:
			// The engine itself wants some of it before anything else happens.
			io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 9000))
		case 1:
			io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		case 2:
			io.WriteString(conn, "POST "+bridge.StatusPath(token)+" HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 70_000))
		}
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
	}
	for _, seen := range rec.Requests() {
		if seen.Err == nil {
			t.Errorf("the upstream took %q for a whole body", seen.Body)
		}
	}
	if state := b.Upstream.Breaker(); state != "closed" {
		t.Errorf("the circuit is %s after broken uploads, want closed", state)
	}
	if a := testkit.Do(t, "POST", b.URL+"/x", "hi"); a.Status != 200 {
		t.Errorf("an honest client gets %d %q", a.Status, a.Body)
	}
}

// TestHeadersBelongToTheirAnswer asks for many answers at once, with and without a
// body, whose fields say which they are.
func TestHeadersBelongToTheirAnswer(t *testing.T) {
	t.Parallel()
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		w.Header().Add("Set-Cookie", "path="+r.URL.Path)
		w.Header().Set("ETag", r.URL.Path)
		switch {
		case strings.HasPrefix(r.URL.Path, "/204"):
			w.WriteHeader(204)
		case strings.HasPrefix(r.URL.Path, "/304"):
			w.WriteHeader(304)
		case strings.HasPrefix(r.URL.Path, "/large"):
			w.Write([]byte(strings.Repeat(r.URL.Path, 5000)))
		default:
			w.Write([]byte(r.URL.Path))
		}
	}))
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 40 {
				kind := []string{"204", "304", "large", "small", "head"}[j%5]
				method := "GET"
				if kind == "head" {
					method = "HEAD"
				}
				path := fmt.Sprintf("/%s/%d/%d", kind, i, j)
				a := testkit.Do(t, method, b.URL+path, "")
				if a.Err != nil || a.Header.Get("X-Path") != path || a.Header.Get("Set-Cookie") != "path="+path || a.Header.Get("ETag") != path {
					t.Errorf("%s %s: %d %v, %v", method, path, a.Status, a.Header, a.Err)
				}
				if kind == "small" && a.Body != path || kind == "large" && a.Body != strings.Repeat(path, 5000) {
					t.Errorf("%s: %.100q", path, a.Body)
				}
			}
		})
	}
	clients.Wait()
}

// TestEventsArriveAtOnce streams an answer that comes in pieces, to a request of
// either kind.
func TestEventsArriveAtOnce(t *testing.T) {
	t.Parallel()
	next, ended := make(chan struct{}), make(chan struct{}, 2)
	b := bridge.Start(t, streaming(t, func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		io.Copy(io.Discard, r.Body) // only then does net/http look whether the client left
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		for i := 0; ; i++ {
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			case <-t.Context().Done():
				return
			}
			fmt.Fprintf(w, "data: %d\n\n", i)
		}
	}))
	for _, head := range []string{"GET /events HTTP/1.1\r\nHost: h\r\n\r\n", "POST /events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		conn := b.Dial()
		io.WriteString(conn, head)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%.4s: the head did not come before the first event: %v", head, err)
		}
		body := bufio.NewReader(response.Body)
		for i := range 3 {
			next <- struct{}{}
			if line, err := body.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Errorf("%.4s: event %d is %q, %v", head, i, line, err)
			}
			body.ReadString('\n')
		}
		conn.Close()
		soon(t, ended, "the upstream is told that the client left")
	}
}

// TestUpstreamThatClosesItsConnections answers and closes without a word, as servers
// do that have waited long enough.
func TestUpstreamThatClosesItsConnections(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		for range 3 {
			request, err := http.ReadRequest(conn.Reader)
			if err != nil {
				return
			}
			io.Copy(io.Discard, request.Body)
			conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}).URL
	b := bridge.Start(t, url)
	failed := 0
	for range 100 {
		if a := testkit.Do(t, "POST", b.URL+"/x", "hi"); a.Status != 200 || a.Body != "ok" {
			failed++
		}
	}
	if failed > 10 { // a request that crosses with the end of a connection fails: it may have been acted on
		t.Errorf("%d of 100 requests failed", failed)
	}
}

// TestSurplusBytesReachNobody has an upstream that sends more than it says.
func TestSurplusBytesReachNobody(t *testing.T) {
	t.Parallel()
	url := testkit.NewRawUpstream(t, func(conn *testkit.Conn) {
		for {
			request, err := http.ReadRequest(conn.Reader)
			if err != nil {
				return
			}
			io.Copy(io.Discard, request.Body)
			conn.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled")
		}
	}).URL
	b := bridge.Start(t, url)
	for i := range 60 {
		var a testkit.Answer
		switch i % 3 {
		case 0:
			a = testkit.Do(t, "POST", b.URL+"/x", "hi")
		case 1:
			a = doFramed(t, b.URL+"/x", "hi", true)
		case 2:
			a = testkit.Do(t, "HEAD", b.URL+"/x", "")
			if a.Status == 200 && a.Header.Get("Content-Length") == "2" {
				continue
			}
		}
		if a.Status != 200 || a.Body != "ok" {
			t.Errorf("request %d: %d %q, %v", i, a.Status, a.Body, a.Err)
		}
	}
}
