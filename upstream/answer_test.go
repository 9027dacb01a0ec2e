package upstream_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/upstream"
)

// lines are fields as text, sorted.
func lines(fields []session.Field) []string {
	var all []string
	for _, f := range fields {
		all = append(all, fmt.Sprintf("%s: %s", f.Name, f.Value))
	}
	slices.Sort(all)
	return all
}

func wantLines(t *testing.T, what string, got []session.Field, want ...string) {
	t.Helper()
	if got := lines(got); !slices.Equal(got, want) {
		t.Errorf("%s: %q; want %q", what, got, want)
	}
}

// TestOrigin: what an answer allows one origin is for whoever asked, and stored for
// nobody.
func TestOrigin(t *testing.T) {
	header := []string{"Access-Control-Allow-Origin: https://shop.example", "access-control-expose-headers: X-A", "Vary: Origin", "X-A: 1"}
	allowed := []string{"Access-Control-Allow-Origin: https://shop.example", "Access-Control-Expose-Headers: X-A"}
	for _, c := range []struct {
		name, text string
		kept       bool // in an observation or an Answer
	}{
		{"an observation", answer(200, waiting, header...), true},
		{"forbidden", answer(403, "<html>", header...), true},
		{"failed", answer(503, "<html>", header...), false},
		{"unreadable", answer(200, "x", append(header, "Content-Encoding: gzip")...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, answering(c.text))
			client := newClient(t, s.URL)
			var told [][]session.Field
			content := kept(client.Poll(t.Context(), asked(t), session.PollOptions{
				Origin: "https://shop.example", CORS: func(fields []session.Field) { told = append(told, fields) },
			}))
			if !strings.Contains(s.Requests()[0], "\r\nOrigin: https://shop.example\r\n") {
				t.Errorf("sent %q; want the origin", s.Requests()[0])
			}
			if len(told) != 1 {
				t.Fatalf("told %d times; want once", len(told))
			}
			wantLines(t, "told", told[0], allowed...)
			if c.kept {
				wantLines(t, "kept", content.Header, "Vary: Origin", "X-A: 1")
			}

			content = kept(client.Poll(t.Context(), asked(t), session.PollOptions{CORS: func([]session.Field) { t.Error("told without an origin") }}))
			if strings.Contains(s.Requests()[1], "Origin") {
				t.Errorf("sent %q; want no origin", s.Requests()[1])
			}
			if c.kept {
				wantLines(t, "kept without an origin", content.Header, append(slices.Clone(allowed), "Vary: Origin", "X-A: 1")...)
			}
		})
	}
	newClient(t, "http://127.0.0.1:1").Poll(t.Context(), asked(t), session.PollOptions{
		Origin: "https://shop.example", CORS: func([]session.Field) { t.Error("told of an answer that did not come") },
	})
}

// kept is what a poll brought that is for clients, or nil.
func kept(o *session.Observation, err error) *session.Content {
	if failure, ok := err.(*upstream.Failure); ok {
		return failure.Answer
	}
	return o.Content
}

// TestAnswersThatAreNoObservations are for clients as they are, unless they say that the
// upstream cannot cope.
func TestAnswersThatAreNoObservations(t *testing.T) {
	header := []string{"Set-Cookie: a=b", "Keep-Alive: timeout=5", "Connection: keep-alive, X-Hop", "X-Hop: 1", "Content-Type: text/html", "X-Powered-By: x"}
	for _, c := range []struct {
		status int
		body   string
		reason upstream.Reason
		answer bool
	}{
		{302, "moved", upstream.Redirect, true},
		{304, "", upstream.Redirect, true},
		{403, "<html>no</html>", upstream.Unreadable, true},
		{404, "", upstream.Unreadable, true},
		{408, "slow", upstream.Unreadable, true},
		{429, `{"status":"waiting"}`, upstream.SlowDown, true},
		{400, `{"status":"error","error_code":50002}`, upstream.Transient, false},
		{429, `{"status":"error","error_code":50002}`, upstream.Transient, false},
		{500, "<html>", upstream.Server, false},
		{503, "<html>", upstream.Server, false},
		{200, "<html>", upstream.Unreadable, false},
		{204, "", upstream.Unreadable, false},
	} {
		t.Run(fmt.Sprint(c.status, c.body), func(t *testing.T) {
			text := answer(c.status, c.body, header...)
			if c.body == "" {
				text = strings.Replace(text, "Content-Length: 0\r\n", "", 1)
				if c.status == 404 {
					text = answer(c.status, c.body, header...)
				}
			}
			_, err := newClient(t, testkit.NewRawUpstream(t, answering(text)).URL).Poll(t.Context(), asked(t), forClient)
			f := wantFailure(t, err, c.reason)
			if (f.Answer != nil) != c.answer {
				t.Fatalf("Answer = %v; want one: %v", f.Answer, c.answer)
			}
			if c.answer {
				if f.Answer.Status != c.status || string(f.Answer.Body) != c.body {
					t.Errorf("Answer = %d %q; want %d %q", f.Answer.Status, f.Answer.Body, c.status, c.body)
				}
				wantLines(t, "Answer", f.Answer.Header, "Content-Type: text/html", "X-Powered-By: x")
			}
			if strings.Contains(f.Error(), "html") {
				t.Errorf("the error shows the answer: %v", f)
			}
		})
	}
}

// TestDecodedAnswerIsAnother one: what describes its bytes as they were sent is dropped.
func TestDecodedAnswerIsAnother(t *testing.T) {
	digests := []string{"Content-Digest: sha-256=:x:", "Repr-Digest: sha-256=:x:", "Digest: x", "Content-MD5: x"}
	for encoding, etag := range map[string]string{"gzip": `"strong"`, "x-gzip": `"strong"`, "X-GZIP": `W/"weak"`} {
		text := answer(200, compressed(t, waiting), append(digests, "ETag: "+etag, "Age: 5", "Content-Encoding: "+encoding)...)
		o, err := newClient(t, testkit.NewRawUpstream(t, answering(text)).URL).Poll(t.Context(), asked(t), forClient)
		if err != nil {
			t.Fatalf("%s: %v", encoding, err)
		}
		want := []string{"Age: 5"}
		if strings.HasPrefix(etag, "W/") {
			want = append(want, "Etag: "+etag)
		}
		wantLines(t, encoding, o.Header, want...)
		if string(o.Body) != waiting {
			t.Errorf("%s: %q; want %s", encoding, o.Body, waiting)
		}
	}
	text := answer(200, waiting, `ETag: "strong"`, "Content-Digest: sha-256=:x:")
	o, err := newClient(t, testkit.NewRawUpstream(t, answering(text)).URL).Poll(t.Context(), asked(t), forClient)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "not encoded", o.Header, "Content-Digest: sha-256=:x:", `Etag: "strong"`)
}

// TestLargeHeads of 40 KiB come through, on both ways.
func TestLargeHeads(t *testing.T) {
	var header []string
	for i := range 40 {
		header = append(header, fmt.Sprintf("X-%d: %s", i, strings.Repeat("x", 1000)))
	}
	c := newClient(t, testkit.NewRawUpstream(t, answering(answer(200, waiting, header...))).URL)
	o, err := c.Poll(t.Context(), asked(t), forClient)
	if err != nil || len(o.Header) != 40 {
		t.Errorf("Poll = %v, %v; want 40 fields", o, err)
	}
	response, err := c.Forward(request(t, c, "GET", "/", nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := len(response.Header); got != 41 {
		t.Errorf("Forward brought %d fields; want 40 and the length", got)
	}
}

// TestRedirectsAreNamed in the log, with where they point and nothing that is anybody's,
// and not at each poll.
func TestRedirectsAreNamed(t *testing.T) {
	var location string
	f := newFlaky()
	log, c := logged(t, testkit.Serve(t, f).URL+"/base")
	redirect := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(302)
	}
	want := func(lines int, shown string) {
		t.Helper()
		for range 5 {
			c.Poll(t.Context(), asked(t), forClient)
		}
		text := log.String()
		if got := strings.Count(text, "upstream redirects status requests"); got != lines || !strings.Contains(text, shown) {
			t.Errorf("%d lines; want %d with %s:\n%s", got, lines, shown, text)
		}
		for _, secret := range []string{token, credential, "hunter2"} {
			if strings.Contains(text, secret) {
				t.Errorf("the log shows %s:\n%s", secret, text)
			}
		}
	}
	f.set(redirect)
	location = "https://user:hunter2@login.example/" + token + "/" + credential + "/s;jsessionid=hunter2/hunter2-hunter2-hunter2-hunter2?hunter2#hunter2"
	want(1, "level=WARN msg=\"upstream redirects status requests\" endpoint=smartid-sign status=302 location=https://login.example/{token}/***/***/***\n")
	location = "elsewhere"
	want(2, "/base/smartid/sign/status/elsewhere\n")
	f.set(respond(200, waiting))
	want(2, "level=INFO msg=\"upstream no longer redirects status requests\" endpoint=smartid-sign\n")
	f.set(redirect)
	want(3, "")
	f.set(respond(503, "busy"))
	want(3, "")
	f.set(redirect)
	want(3, "") // what is no answer has ended nothing
	location = "http://%zz"
	want(4, "location=?\n")
	for i := range 20 { // an upstream that never points to the same place
		location = fmt.Sprint("/", i)
		c.Poll(t.Context(), asked(t), forClient)
	}
	want(5, "")
}
