package upstream_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/upstream"
)

// TestPollBytes compares what goes over the wire: nothing of the client's own
// request, and no other shape than this.
func TestPollBytes(t *testing.T) {
	for _, c := range []struct {
		name, base  string
		endpoint    session.Endpoint
		locale      int
		query, body string
		line        string
		header      []string
		sent        string
	}{
		{
			name: "credential in the body", endpoint: dialect("marksign"), body: ` { "access_token" : "` + credential + `", "token":"` + token + `" } `,
			line:   "POST /smartid/sign/status/" + token + ".json HTTP/1.1",
			header: []string{"Accept: application/json", "Content-Length: 38", "Content-Type: application/json", "User-Agent: pollbridge/test"},
			sent:   `{"access_token":"` + credential + `"}`,
		},
		{
			name: "English, further fields, a base path", base: "/api/v2/", endpoint: dialect("marksign"), locale: 1, query: "z=1&a=%2F+",
			body:   `{"z":1,"access_token":"` + credential + `","a":"é"}`,
			line:   "POST /api/v2/en/smartid/sign/status/" + token + ".json?a=%2F+&z=1 HTTP/1.1",
			header: []string{"Accept: application/json", "Content-Length: 53", "Content-Type: application/json", "User-Agent: pollbridge/test"},
			sent:   `{"access_token":"` + credential + `","a":"é","z":1}`,
		},
		{
			name: "credential in the query", base: "/x", endpoint: dialect("dokobit"), query: "access_token=" + credential + "%2F..%2F%3F%26",
			line:   "GET /x/smartid/sign/status/" + token + ".json?access_token=" + credential + "%2F..%2F%3F%26 HTTP/1.1",
			header: []string{"Accept: application/json", "User-Agent: pollbridge/test"},
		},
		{
			name: "bearer token", endpoint: bearer(t),
			line:   "GET /document/" + token + "/check-status HTTP/1.1",
			header: []string{"Accept: application/json", "Authorization: Bearer " + credential, "User-Agent: pollbridge/test"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, answering(answer(200, `{"status":"waiting","data":{"document_status":"waiting"}}`)))
			v := question(t, c.endpoint, c.locale, c.query, c.body)
			if _, err := newClient(t, s.URL+c.base).Poll(t.Context(), v, forClient); err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(s.Requests()[0], "\r\n\r\n")
			lines := strings.Split(head, "\r\n")
			if lines[0] != c.line {
				t.Errorf("request line\n%s; want\n%s", lines[0], c.line)
			}
			want := append(c.header, "Host: "+s.Addr())
			slices.Sort(want)
			if slices.Sort(lines[1:]); !slices.Equal(lines[1:], want) {
				t.Errorf("header\n%q; want\n%q", lines[1:], want)
			}
			if body != c.sent {
				t.Errorf("body\n%s; want\n%s", body, c.sent)
			}
		})
	}
}

func TestObservation(t *testing.T) {
	text := `{"status":"error","error_code":40020,"message":"ne"}` + "\n"
	s := testkit.NewRawUpstream(t, answering(answer(400, text,
		"Content-Type: application/json; charset=utf-8", "X-Vendor: a", "X-Vendor: b", "Set-Cookie: a=b", "Date: Mon, 01 Jan 2026 00:00:00 GMT",
		"Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Server: nginx", "Cache-Control: no-store")))
	before := time.Now()
	o, err := newClient(t, s.URL).Poll(t.Context(), question(t, dialect("marksign"), 1, "", `{"access_token":"x"}`), forClient)
	if err != nil {
		t.Fatal(err)
	}
	if o.State != session.Refused || o.Code != 40020 || !o.Localized || o.Locale != 1 || o.Status != 400 || string(o.Body) != text {
		t.Errorf("Poll = %+v", o)
	}
	if o.At.Before(before) || o.At.After(time.Now()) {
		t.Errorf("made at %v, which is not now", o.At)
	}
	var header []string
	for _, f := range o.Header {
		header = append(header, fmt.Sprintf("%s: %s", f.Name, f.Value))
	}
	slices.Sort(header)
	want := []string{"Cache-Control: no-store", "Content-Type: application/json; charset=utf-8", "Server: nginx", "X-Vendor: a", "X-Vendor: b"}
	if !slices.Equal(header, want) {
		t.Errorf("keeps the header\n%q; want\n%q", header, want)
	}
}

// TestNothingIsInvented: what the upstream did not say is not said for it.
func TestNothingIsInvented(t *testing.T) {
	s := testkit.NewRawUpstream(t, answering(answer(200, waiting)))
	c := newClient(t, s.URL)
	for range 3 {
		o, err := c.Poll(t.Context(), asked(t), forClient)
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Header) > 0 {
			t.Errorf("keeps the header %s; want none", o.Header)
		}
	}
}

func TestEqualAnswersShareTheirMemory(t *testing.T) {
	var n int
	s := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		if n++; n > 2 {
			w.Header().Set("X-Other", "yes")
		}
		if n > 3 {
			respond(200, `{"status":"ok"}`)(w, r)
			return
		}
		respond(200, waiting)(w, r)
	}))
	c := newClient(t, s.URL)
	var all []*session.Observation
	for range 5 {
		o, err := c.Poll(t.Context(), asked(t), forClient)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	if all[0].Content != all[1].Content || all[0].Content == all[2].Content {
		t.Error("equal answers do not share their memory, or different ones do")
	}
	if all[3].Content == all[4].Content || all[3].Shared || all[4].Shared {
		t.Error("what may be about a person is kept for others")
	}
}

// TestLargeAnswerTakesItsSize: a document is held for minutes, so it must not hold
// twice its size.
func TestLargeAnswerTakesItsSize(t *testing.T) {
	body := `{"status":"ok","file":"` + strings.Repeat("x", 5<<20) + `"}`
	for _, c := range []struct{ name, text string }{
		{"with a length", answer(200, body)},
		{"chunked", fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, answering(c.text))
			o, err := newClient(t, s.URL).Poll(t.Context(), asked(t), forClient)
			if err != nil {
				t.Fatal(err)
			}
			if string(o.Body) != body {
				t.Fatal("the body is not the one that was sent")
			}
			if cap(o.Body) > len(o.Body)*5/4 {
				t.Errorf("%d bytes hold memory for %d", len(o.Body), cap(o.Body))
			}
		})
	}
}

func compressed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestOddAnswersThatAreRead holds the answers that are unusual but clear.
func TestOddAnswersThatAreRead(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\nf;x=y\r\ntus\":\"waiting\"}\r\n0\r\nX-Trailer: 1\r\n\r\n"},
		{"until the connection is closed", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + waiting},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n" + waiting},
		{"early hints before it", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(200, waiting)},
		{"several of them", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 3) + answer(200, waiting)},
		{"gzip that nobody asked for", answer(200, compressed(t, waiting), "Content-Encoding: gzip")},
		{"GZIP", answer(200, compressed(t, waiting), "Content-Encoding: GZIP")},
		{"identity", answer(200, waiting, "Content-Encoding: identity")},
		{"as text/html", answer(200, waiting, "Content-Type: text/html")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
				if _, ok := p.ReadRequest(); ok {
					p.Say(c.text)
				}
			})
			o, err := newClient(t, s.URL).Poll(t.Context(), asked(t), forClient)
			if err != nil {
				t.Fatal(err)
			}
			if o.State != session.Pending || string(o.Body) != waiting {
				t.Errorf("Poll = %s %q; want pending %s", o.State, o.Body, waiting)
			}
			for _, f := range o.Header {
				if name := string(f.Name); name == "Content-Encoding" && string(f.Value) != "identity" || name == "Link" || name == "X-Trailer" {
					t.Errorf("keeps %s: %s", f.Name, f.Value)
				}
			}
		})
	}
}

// TestFailures names what goes wrong.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason upstream.Reason
		handle func(*testkit.Conn)
	}{
		{"reset at once", upstream.Connection, func(p *testkit.Conn) { p.Reset() }},
		{"reset after the request", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest(); p.Reset() }},
		{"closed without an answer", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest() }},
		{"hangs", upstream.Timeout, func(p *testkit.Conn) { p.ReadRequest(); p.UntilClosed() }},
		{"half a head", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest(); p.Say("HTTP/1.1 200 OK\r\nContent-") }},
		{"hangs within the head", upstream.Timeout, func(p *testkit.Conn) { p.ReadRequest(); p.Say("HTTP/1.1 200 OK\r\nContent-"); p.UntilClosed() }},
		{"half a body", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest(); p.Say(answer(200, waiting)[:50]) }},
		{"half a body, then a reset", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest(); p.Say(answer(200, waiting)[:50]); p.Reset() }},
		{"a length that is too large", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + waiting)
		}},
		{"a length that is too large, and silence", upstream.Timeout, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + waiting)
			p.UntilClosed()
		}},
		{"a length that is too small", upstream.Unreadable, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + waiting)
		}},
		{"two lengths", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Length: 21\r\n\r\n" + waiting)
		}},
		{"chunks that end early", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + waiting + "\r\n")
		}},
		{"chunks that are none", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + waiting)
		}},
		{"garbage", upstream.Connection, func(p *testkit.Conn) { p.ReadRequest(); p.Say("\x16\x03\x01 what is this?\r\n\r\n\x00\xff") }},
		{"endless early hints", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			for range 100_000 {
				if _, err := p.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n")); err != nil {
					return
				}
			}
		}},
		{"an endless head", upstream.Connection, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\n")
			for range 100_000 {
				if _, err := p.Write([]byte("X-Filler: " + strings.Repeat("x", 1000) + "\r\n")); err != nil {
					return
				}
			}
		}},
		{"HTML", upstream.Unreadable, answering(answer(200, "<html>maintenance</html>", "Content-Type: text/html"))},
		{"an empty body", upstream.Unreadable, answering(answer(200, ""))},
		{"no content", upstream.Unreadable, answering("HTTP/1.1 204 No Content\r\n\r\n")},
		{"not modified", upstream.Redirect, answering("HTTP/1.1 304 Not Modified\r\n\r\n")},
		{"switching protocols", upstream.Unreadable, answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")},
		{"HTTP/1.0 with Transfer-Encoding", upstream.Unreadable, answering("HTTP/1.0 200 OK\r\nContent-Length: 20\r\nTransfer-Encoding: chunked\r\n\r\n" + waiting)},
		{"half a JSON document", upstream.Unreadable, answering(answer(200, waiting[:10]))},
		{"an array", upstream.Unreadable, answering(answer(200, "["+waiting+"]"))},
		{"a redirect", upstream.Redirect, answering(answer(302, waiting, "Location: http://127.0.0.1:1/elsewhere"))},
		{"an unknown encoding", upstream.Unreadable, answering(answer(200, waiting, "Content-Encoding: x-secret"))},
		{"gzip that is none", upstream.Unreadable, answering(answer(200, waiting, "Content-Encoding: gzip"))},
		{"half of a gzip", upstream.Unreadable, answering(answer(200, compressed(t, waiting)[:20], "Content-Encoding: gzip"))},
		{"a body without end", upstream.Unreadable, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			chunk := []byte("100000\r\n" + strings.Repeat(" ", 1<<20) + "\r\n")
			for {
				if _, err := p.Write(chunk); err != nil {
					return
				}
			}
		}},
		{"a length beyond the limit", upstream.Unreadable, func(p *testkit.Conn) {
			p.ReadRequest()
			p.Say("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
			p.UntilClosed()
		}},
		{"500", upstream.Server, answering(answer(500, "oops"))},
		{"502 with HTML", upstream.Server, answering(answer(502, "<html>"))},
		{"503 that says it is waiting", upstream.Server, answering(answer(503, waiting))},
		{"429", upstream.SlowDown, answering(answer(429, "slow down"))},
		{"a transient code", upstream.Transient, answering(answer(200, `{"status":"error","error_code":50001}`))},
		{"a transient code in a 4xx", upstream.Transient, answering(answer(400, `{"status":"error","error_code":50002}`))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := testkit.NewRawUpstream(t, c.handle)
			within := 5 * time.Second
			if c.reason == upstream.Timeout {
				within = 100 * time.Millisecond
			}
			client := newClient(t, s.URL, timeout(within))
			start := time.Now()
			o, err := client.Poll(t.Context(), asked(t), forClient)
			if err == nil {
				t.Fatalf("Poll = %s %.100q; want a failure", o.State, o.Body)
			}
			if f := wantFailure(t, err, c.reason); f.NotSent() {
				t.Errorf("%v says that nothing was sent", err)
			}
			if took := time.Since(start); c.reason == upstream.Timeout && took > within+4*time.Second {
				t.Errorf("failed after %v; want it not much later than %v", took, within)
			}
			if n := len(s.Requests()); n > 1 {
				t.Errorf("the upstream saw %d requests; want one", n)
			}
		})
	}
}

func TestBombIsNotExpanded(t *testing.T) {
	bomb := strings.Repeat(compressed(t, strings.Repeat("\x00", 8<<20)), 128) // a gigabyte
	s := testkit.NewRawUpstream(t, answering(answer(200, bomb, "Content-Encoding: gzip")))
	c := newClient(t, s.URL)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := c.Poll(t.Context(), asked(t), forClient)
	runtime.ReadMemStats(&after)
	wantFailure(t, err, upstream.Unreadable)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 512 {
		t.Errorf("%d MiB were allocated for an answer that is too large", took)
	}
}

func TestRefusedConnection(t *testing.T) {
	s := testkit.NewRawUpstream(t, func(*testkit.Conn) {})
	s.StopAccepting()
	_, err := newClient(t, s.URL).Poll(t.Context(), asked(t), forClient)
	wantFailure(t, err, upstream.Connection)
}

// TestConnectionsClosedAfterEachAnswer: a server that does so without saying so costs
// no failure, and no request is made twice.
func TestConnectionsClosedAfterEachAnswer(t *testing.T) {
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		if _, ok := p.ReadRequest(); ok {
			p.Say(answer(200, waiting))
		}
	})
	c := newClient(t, s.URL)
	for range 40 {
		poll(t, c, waiting)
	}
	wantSeen(t, s, 40)
}

// TestConnectionClosedAsItIsUsedAgain: the upstream closes with the request unread.
func TestConnectionClosedAsItIsUsedAgain(t *testing.T) {
	for _, end := range []struct {
		name  string
		close func(*testkit.Conn)
	}{
		{"closed", func(*testkit.Conn) {}}, // with bytes unread, which resets it
		{"reset", (*testkit.Conn).Reset},
	} {
		t.Run(end.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
				if p.Number > 1 {
					answering(answer(200, waiting))(p)
					return
				}
				p.ReadRequest()
				p.Say(answer(200, waiting))
				p.Reader.Peek(1) // the next request has begun
				end.close(p)
			})
			c := newClient(t, s.URL)
			for range 3 {
				poll(t, c, waiting)
			}
			wantSeen(t, s, 3)
		})
	}
}

// TestManyConnectionsClosedAtOnce is a restart of the upstream.
func TestManyConnectionsClosedAtOnce(t *testing.T) {
	const many = 10
	var arrived, gone sync.WaitGroup
	arrived.Add(many)
	gone.Add(many)
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		p.ReadRequest()
		if p.Number <= many {
			arrived.Done()
			arrived.Wait()
			p.Say(answer(200, waiting))
			p.Close()
			gone.Done()
			return
		}
		p.Say(answer(200, waiting))
		answering(answer(200, waiting))(p)
	})
	c := newClient(t, s.URL)
	var polls sync.WaitGroup
	for range many {
		polls.Go(func() { poll(t, c, waiting) })
	}
	polls.Wait()
	gone.Wait()
	for range 3 {
		poll(t, c, waiting)
	}
	wantSeen(t, s, many+3)
}

// TestFreshConnectionIsNotTriedAgain: the upstream may have acted on the request.
func TestFreshConnectionIsNotTriedAgain(t *testing.T) {
	for _, end := range []struct {
		name  string
		close func(*testkit.Conn)
	}{{"closed", func(*testkit.Conn) {}}, {"reset", (*testkit.Conn).Reset}} {
		t.Run(end.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) { p.ReadRequest(); end.close(p) })
			_, err := newClient(t, s.URL).Poll(t.Context(), asked(t), forClient)
			wantFailure(t, err, upstream.Connection)
			wantSeen(t, s, 1)
		})
	}
}

// TestAnswerThatBrokeOffIsNotAskedForAgain: it may have been the only delivery, and
// what comes instead would look like an answer.
func TestAnswerThatBrokeOffIsNotAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		name, text string
		reset      bool
	}{
		{"after early hints", "HTTP/1.1 103 Early Hints\r\n\r\n", false},
		{"after early hints, by a reset", "HTTP/1.1 103 Early Hints\r\n\r\n", true},
		{"within the head", "HTTP/1.1 200 OK\r\nContent-", false},
		{"within the head, by a reset", "HTTP/1.1 200 OK\r\nContent-", true},
		{"within the body", answer(200, waiting)[:50], false},
		{"within the body, by a reset", answer(200, waiting)[:50], true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
				if p.Number > 1 {
					answering(answer(200, `{"status":"error","error_code":40402}`))(p)
					return
				}
				p.ReadRequest()
				p.Say(answer(200, waiting))
				p.ReadRequest()
				p.Say(c.text)
				if c.reset {
					p.Reset()
				}
			})
			client := newClient(t, s.URL)
			poll(t, client, waiting)
			o, err := client.Poll(t.Context(), asked(t), forClient)
			if err == nil {
				t.Errorf("Poll = %s; want a failure", o.Body)
			} else {
				wantFailure(t, err, upstream.Connection)
			}
			wantSeen(t, s, 2)
		})
	}
}

var surplus = answer(200, `{"status":"ok","file":"somebody else's"}`)

// TestSurplusIsNobodysAnswer is promise 3 on the wire: bytes beyond the length that an
// answer announced look like an answer to whoever polls next, which may be somebody
// else.
func TestSurplusIsNobodysAnswer(t *testing.T) {
	short := strings.Replace(answer(200, waiting+surplus), fmt.Sprint(len(waiting+surplus)), fmt.Sprint(len(waiting)), 1)
	filler := "HTTP/1.1 100 Continue\r\n\r\n"
	for _, c := range []struct {
		name string
		say  func(p *testkit.Conn)
	}{
		{"in one piece", func(p *testkit.Conn) { p.Say(short) }},
		{"in two pieces", func(p *testkit.Conn) { p.Say(answer(200, waiting)); p.Say(surplus) }},
		{"more than a buffer", func(p *testkit.Conn) { p.Say(answer(200, waiting)); p.Say(strings.Repeat(filler, 2000) + surplus) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := make(chan struct{}, 100)
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
				for {
					if _, ok := p.ReadRequest(); !ok {
						return
					}
					c.say(p)
					said <- struct{}{}
				}
			})
			client := newClient(t, s.URL)
			for range 5 {
				if poll(t, client, waiting); t.Failed() {
					return
				}
				<-said
			}
			wantSeen(t, s, 5)
		})
	}
}

// corked holds back what is written until it is flushed, and then sends it at once.
type corked struct {
	net.Conn
	held bytes.Buffer
	open bool
}

func (c *corked) Write(p []byte) (int, error) {
	if c.open {
		return c.Conn.Write(p)
	}
	return c.held.Write(p)
}

// TestSurplusWithinTLS: TLS reads ahead, so what came too much is no longer in the
// socket.
func TestSurplusWithinTLS(t *testing.T) {
	certificates, ca := certificate(t)
	said := make(chan struct{}, 100)
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		below := &corked{Conn: p.Conn, open: true}
		secure := tls.Server(below, &tls.Config{Certificates: certificates})
		p.Reader.Reset(secure)
		for {
			if _, ok := p.ReadRequest(); !ok {
				return
			}
			below.open = false
			secure.Write([]byte(answer(200, waiting)))
			secure.Write([]byte(surplus))
			below.open = true
			below.held.WriteTo(p.Conn)
			said <- struct{}{}
		}
	})
	client := newClient(t, strings.Replace(s.URL, "http", "https", 1), func(s *setup) { s.CAFile = ca })
	for range 5 {
		if poll(t, client, waiting); t.Failed() {
			return
		}
		<-said
	}
	wantSeen(t, s, 5)
}

// TestTLSConnectionsAreUsedAgain: looking for surplus must not cost the connection.
func TestTLSConnectionsAreUsedAgain(t *testing.T) {
	certificates, ca := certificate(t)
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		p.StartTLS(&tls.Config{Certificates: certificates})
		answering(answer(200, waiting))(p)
	})
	client := newClient(t, strings.Replace(s.URL, "http", "https", 1), func(s *setup) { s.CAFile = ca })
	for range 10 {
		poll(t, client, waiting)
	}
	wantSeen(t, s, 10)
	wantConnections(t, s, 1)
}

func TestTLS(t *testing.T) {
	certificates, ca := certificate(t)
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		p.StartTLS(&tls.Config{Certificates: certificates})
		answering(answer(200, waiting))(p)
	})
	url := strings.Replace(s.URL, "http", "https", 1)
	trusting := newClient(t, url, func(s *setup) { s.CAFile = ca })
	poll(t, trusting, waiting)
	if response, err := trusting.Forward(request(t, trusting, "GET", "/", nil), nil); err != nil {
		t.Errorf("Forward = %v", err)
	} else {
		response.Body.Close()
	}
	wary := newClient(t, url)
	_, err := wary.Poll(t.Context(), asked(t), forClient)
	wantFailure(t, err, upstream.Connection)
	_, err = wary.Forward(request(t, wary, "GET", "/", nil), nil)
	wantFailure(t, err, upstream.Connection)
	wantSeen(t, s, 2)
	_, err = newClient(t, s.URL).Poll(t.Context(), asked(t), forClient) // plain HTTP
	wantFailure(t, err, upstream.Connection)
}

// TestSlowBody: only silence is a failure.
func TestSlowBody(t *testing.T) {
	text := answer(200, `{"status":"ok","file":"`+strings.Repeat("x", 100)+`"}`)
	for _, c := range []struct {
		name   string
		stalls bool
		within time.Duration
	}{
		{"keeps coming for longer than the timeout", false, 400 * time.Millisecond},
		{"stalls", true, 200 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
				if _, ok := p.ReadRequest(); !ok {
					return
				}
				for i := range 12 {
					if c.stalls && i == 6 {
						p.UntilClosed()
						return
					}
					p.Say(text[len(text)*i/12 : len(text)*(i+1)/12])
					time.Sleep(60 * time.Millisecond) // a slow line
				}
			})
			_, err := newClient(t, s.URL, timeout(c.within)).Poll(t.Context(), asked(t), forClient)
			if c.stalls {
				wantFailure(t, err, upstream.Timeout)
			} else if err != nil {
				t.Errorf("Poll = %v; want the whole answer", err)
			}
		})
	}
}

// TestDripIsBounded: a byte now and then does not keep a poll for ever.
func TestDripIsBounded(t *testing.T) {
	t.Parallel()
	s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
		if _, ok := p.ReadRequest(); !ok {
			return
		}
		p.Say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
		for {
			if _, err := p.Write([]byte(" ")); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	start := time.Now()
	_, err := newClient(t, s.URL, timeout(100*time.Millisecond)).Poll(t.Context(), asked(t), forClient)
	wantFailure(t, err, upstream.Timeout)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("gave up after %v; want it after 6 times the timeout", took)
	}
}

func TestPollsAreCounted(t *testing.T) {
	var s setup
	texts := []string{waiting, `{"status":"ok"}`, `{"status":"error","error_code":40402}`, "<html>", `{"status":"new"}`}
	n := 0
	upstreamServer := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		respond(200, texts[n-1])(w, r)
	}))
	c := newClient(t, upstreamServer.URL, func(own *setup) { s = *own })
	for range texts {
		c.Poll(t.Context(), asked(t), forClient)
	}
	got := testkit.Metrics(t, s.registry)
	for _, outcome := range []string{"pending", "succeeded", "not_found", "unreadable", "unknown"} {
		if name := "pollbridge_upstream_requests_total{smartid-sign," + outcome + "}"; got[name] != 1 {
			t.Errorf("%s = %v; want 1 (of %v)", name, got[name], got)
		}
	}
	if got["pollbridge_upstream_request_seconds{smartid-sign}"] != 5 {
		t.Errorf("%v requests were timed; want 5", got["pollbridge_upstream_request_seconds{smartid-sign}"])
	}
}
