package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/webhook/signature"
)

// listening is a running "listen".
type listening struct {
	t      *testing.T
	url    string
	out    testkit.LogBuffer
	errOut testkit.LogBuffer
	read   int // of out
	stop   func() int
}

// listen starts the command on a free port; it is stopped when the test ends.
func listen(t *testing.T, args ...string) *listening {
	t.Helper()
	l := &listening{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"listen", "--listen", "127.0.0.1:0"}, args...), &l.out, &l.errOut)
	}()
	stopped, with := false, 0
	l.stop = func() int {
		if !stopped {
			cancel()
			stopped, with = true, <-code
		}
		return with
	}
	t.Cleanup(func() { l.stop() })
	testkit.Eventually(t, "it listens", func() bool {
		if found := regexp.MustCompile(`http://\S+:\d+`).FindString(l.out.String()); found != "" {
			l.url = found
		}
		return l.url != "" || l.errOut.String() != ""
	})
	l.read = len(l.out.String())
	return l
}

// mail is a webhook; what is empty is as it should be.
type mail struct {
	id, body string
	at       time.Time
	key      string
	change   func(http.Header)
	sent     string // instead of the body that was signed
}

const anEvent = `{"type":"session.succeeded","timestamp":"2026-11-23T08:15:30.123Z","data":{"session":"ses_one","endpoint":"smartid-sign",` +
	`"locale":"en","token":"tok1tok2tok3Z99Z","sequence":2,"state":"succeeded","previous_state":"pending","final":true,` +
	`"observed_at":"OBSERVED","http_status":200,"error_code":null,"message":null,"response":{"status":"ok"},"file_omitted":true}}`

// post sends a webhook and returns how it was answered and what was printed of it.
func (l *listening) post(m mail) (status int, block string) {
	l.t.Helper()
	if m.id == "" {
		m.id = "evt_one"
	}
	if m.at.IsZero() {
		m.at = time.Now()
	}
	if m.body == "" {
		m.body = strings.Replace(anEvent, "OBSERVED", time.Now().Add(-90*time.Second).UTC().Format(time.RFC3339Nano), 1)
	}
	signed, err := signature.Sign(m.id, m.at, []byte(m.body), m.key)
	if err != nil {
		l.t.Fatal(err)
	}
	if m.sent != "" {
		m.body = m.sent
	}
	request, err := http.NewRequestWithContext(l.t.Context(), "POST", l.url+"/hooks/any", strings.NewReader(m.body))
	if err != nil {
		l.t.Fatal(err)
	}
	request.Header.Set("webhook-id", m.id)
	request.Header.Set("webhook-timestamp", strconv.FormatInt(m.at.Unix(), 10))
	request.Header.Set("webhook-signature", signed)
	if m.change != nil {
		m.change(request.Header)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode, l.block()
}

// block is what was printed since it was last asked.
func (l *listening) block() string {
	all := l.out.String()
	defer func() { l.read = len(all) }()
	return all[l.read:]
}

func (l *listening) want(m mail, status int, texts ...string) {
	l.t.Helper()
	got, block := l.post(m)
	if got != status {
		l.t.Errorf("answered %d; want %d", got, status)
	}
	for _, text := range append(texts, fmt.Sprintf("answered  %d\n", status)) {
		if !strings.Contains(block, text) {
			l.t.Errorf("printed\n%s; want it to have %q", block, text)
		}
	}
}

func TestListenShowsAWebhook(t *testing.T) {
	key := signature.NewSecret()
	l := listen(t, "--secret", key)
	if !strings.Contains(l.out.String(), "allow_networks: [127.0.0.0/8]") {
		t.Errorf("the banner does not tell how to send here: %s", l.out.String())
	}
	_, block := l.post(mail{key: key})
	shape := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3}  session\.succeeded     verified, v1
    session   ses_one, smartid-sign, en, token tok1tok2…
    state     pending -> succeeded, final, sequence 2
    answer    HTTP 200, without its document, \d+ bytes in all
    id        evt_one
    answered  204
    delay     1m3\d(\.\d+)?s since the state was observed

$`)
	if !shape.MatchString(block) {
		t.Errorf("printed\n%s; want it like\n%s", block, shape)
	}
	l.want(mail{key: key}, 204, "evt_one, SEEN BEFORE: attempt 2, the first came at ")
	l.want(mail{key: key}, 204, "attempt 3")
	l.want(mail{key: key, id: "evt_two", body: `{"type":"session.pending","data":{"session":"ses_two","state":"pending","previous_state":null}}`}, 204,
		"session.pending", "(new) -> pending", "id        evt_two\n")
	l.want(mail{key: key, id: "evt_3", body: `{"type":"subscription.failing","data":{"subscription":"sub_one","reason":"timeouts"}}`}, 204, "about     sub_one, timeouts")
	l.want(mail{key: key, id: "evt_4", body: `hello`}, 204, "not an event", "5 bytes, not an event: hello")
	if code := l.stop(); code != 0 {
		t.Errorf("exit code %d: %s", code, l.errOut.String())
	}
	if rest := l.block(); !regexp.MustCompile(`^Stopped after \S+: 6 webhooks, 6 verified, 2 of them seen before, 0 not verified\.\n$`).MatchString(rest) {
		t.Errorf("at the end: %q", rest)
	}
	if text := l.out.String(); strings.Contains(text, key[6:]) || strings.Contains(text, "Z99Z") || strings.Contains(text, "\x1b") {
		t.Errorf("a secret, a whole token or colour was printed:\n%s", text)
	}
}

func TestListenTellsWhyNot(t *testing.T) {
	key := signature.NewSecret()
	private, public := signature.NewKeyPair()
	l := listen(t, "--secret", key)
	without := func(name string) func(http.Header) { return func(h http.Header) { h.Del(name) } }
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	l.want(mail{key: signature.NewSecret()}, 401, "session.succeeded     NOT VERIFIED", "the secret is not the subscription's, or")
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		l.want(mail{key: key, change: without(name)}, 401, "NOT VERIFIED", "the header "+name+" is missing")
	}
	l.want(mail{key: key, at: time.Now().Add(-6 * time.Minute)}, 401, "the signature is valid, but webhook-timestamp is 6m", "in the past", "at most 5m is")
	l.want(mail{key: key, at: time.Now().Add(time.Hour)}, 401, "in the future: one of the clocks is wrong")
	l.want(mail{key: key, change: set("webhook-timestamp", "soon")}, 401, "webhook-timestamp is not a number of seconds")
	l.want(mail{key: private}, 401, "it is signed with v1a only: --secret must be the public key whpk_…")
	l.want(mail{key: key, change: set("webhook-signature", "md5=1234")}, 401, "webhook-signature has no known kind of signature: md5=1234")
	l.want(mail{key: key, body: `{"a":1}`, sent: `{"a": 1}`}, 401, "the body was changed on the way: its white space")
	l.want(mail{key: key, body: `{"a":1}`, sent: `{"a":2}`}, 401, "the secret is not the subscription's, or the body was changed")
	l.want(mail{key: key}, 204, "verified, v1\n")
	l.want(mail{key: key, body: `{"a":1}`, sent: `{"a":2}`}, 401, "no signature matches, although the secret has verified others")
	if text := l.out.String(); strings.Contains(text, "SEEN BEFORE") {
		t.Error("what was not verified counts as seen")
	}

	t.Log("with a public key, and with both")
	l = listen(t, "--secret", public)
	l.want(mail{key: private}, 204, "verified, v1a")
	l.want(mail{key: key}, 401, "it is signed with v1 only: --secret must be the secret whsec_…")
	l = listen(t, "--secret", key, "--secret", public)
	l.want(mail{key: private}, 204, "verified, v1a")
	l.want(mail{key: key, id: "evt_two"}, 204, "verified, v1\n")
}

func TestListenShowsNothingHostile(t *testing.T) {
	key := signature.NewSecret()
	l := listen(t, "--secret", key)
	l.want(mail{key: key, body: `{"type":"\u001b[2Ja\r\nb","data":{"session":"x\u202ey\u0000","state":"` + strings.Repeat("x", 10000) + `"}}`}, 204, "·[2Ja··b", "x·y·")
	l.want(mail{key: key, id: "evt_2", body: "\x1b[31m" + strings.Repeat("ž", 10000)}, 204, "·[31mž")
	for _, r := range l.out.String() {
		if r != '\n' && r < ' ' || r == 0x7f || r == 0x202e {
			t.Fatalf("%U was printed", r)
		}
	}
	if n := len(l.out.String()); n > 4000 {
		t.Errorf("%d bytes were printed of it", n)
	}
}

func TestListenFailsOnRequest(t *testing.T) {
	key := signature.NewSecret()
	for _, c := range []struct {
		args []string
		want []int
	}{
		{[]string{"--status", "500"}, []int{500, 500}},
		{[]string{"--status", "202"}, []int{202, 202}},
		{[]string{"--status", "410"}, []int{410}},
		{[]string{"--fail-every", "3"}, []int{204, 204, 500, 204, 204, 500}},
		{[]string{"--fail-every", "2", "--status", "503"}, []int{204, 503, 204, 503}},
		{[]string{"--fail-every", "1"}, []int{500, 500}},
		{[]string{"--fail-every", "2", "--status", "202"}, []int{202, 500, 202, 500}},
	} {
		l := listen(t, append(c.args, "--secret", key)...)
		for i, want := range c.want {
			if got, _ := l.post(mail{key: key}); got != want {
				t.Errorf("%v: webhook %d is answered %d; want %d", c.args, i+1, got, want)
			}
			if got, _ := l.post(mail{key: signature.NewSecret()}); got != 401 {
				t.Errorf("%v: one that is not verified is answered %d", c.args, got)
			}
		}
	}
}

func TestListenBoundsBodies(t *testing.T) {
	l := listen(t, "--secret", signature.NewSecret())
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhalf")
	conn.(*net.TCPConn).CloseWrite()
	testkit.Eventually(t, "it tells", func() bool { return strings.Contains(l.out.String(), "the body was cut off") })

	status, body := ask("GET", l.url, "")
	if status != 405 || !strings.Contains(body, "POST") {
		t.Errorf("GET = %d %q; want 405", status, body)
	}
	status, _ = ask("POST", l.url, strings.Repeat("x", mostWebhook+1))
	if status != 413 && status != 0 {
		t.Errorf("too large = %d; want 413, or that the connection ends", status)
	}
	testkit.Eventually(t, "it tells of what is too large", func() bool { return strings.Contains(l.out.String(), "larger than 100 MiB") })
}

func TestListenMisused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	private, public := signature.NewKeyPair()
	good := signature.NewSecret()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "--secret"},
		{[]string{"--secret", ""}, 2, "accepted: whsec_ and the base64"},
		{[]string{"--secret", "whsec_"}, 2, "accepted: whsec_ and the base64"},
		{[]string{"--secret", "hunter2hunter2"}, 2, "accepted: whsec_ and the base64"},
		{[]string{"--secret", "whsec_c2hvcnQ="}, 2, "accepted: whsec_ and the base64 of 24 to 64 bytes"},
		{[]string{"--secret", strings.TrimPrefix(good, "whsec_")}, 2, "accepted: whsec_"},
		{[]string{"--secret", private}, 2, "its public half whpk_"},
		{[]string{"--secret", public[:20]}, 2, "whpk_ and that of 32"},
		{[]string{"--secret", good, "--secret", "hunter2hunter2"}, 2, "accepted: whsec_"},
		{[]string{"--secret", good, "--status", "99", "--fail-every=-1"}, 2, "--status: 99"},
		{[]string{"--secret", good, "--status", "99", "--fail-every=-1"}, 2, "--fail-every: -1"},
		{[]string{"--secret", good, "--fail-every", "often"}, 2, "--fail-every"},
		{[]string{"--secret", good, "--what"}, 2, "unknown flag"},
		{[]string{"--secret", good, "--listen", taken.Addr().String()}, 1, "--listen: "},
		{[]string{"--secret", good, "--listen", "nowhere"}, 1, "accepted: a free address such as 127.0.0.1:9080"},
	} {
		var out, errOut testkit.LogBuffer
		code := run(t.Context(), append([]string{"listen"}, c.args...), &out, &errOut)
		if code != c.code || !strings.Contains(errOut.String(), c.want) {
			t.Errorf("listen %.40q = %d %q; want %d with %q", c.args, code, errOut.String(), c.code, c.want)
		}
		for _, secret := range []string{"hunter2", "c2hvcnQ", private[5:], good[6:], public[5:20]} {
			if strings.Contains(out.String()+errOut.String(), secret) {
				t.Errorf("listen %.40q shows a secret: %s", c.args, errOut.String())
			}
		}
	}
}

// TestListenRemembersSoMuch: a developer's terminal may be open for days.
func TestListenRemembersSoMuch(t *testing.T) {
	b := newWebhookInbox(&listenCmd{}, &testkit.LogBuffer{})
	for i := range mostReceipts + 100 {
		b.rememberLocked(&incoming{id: strconv.Itoa(i)})
	}
	if len(b.seen) > mostReceipts {
		t.Errorf("%d are remembered; want at most %d", len(b.seen), mostReceipts)
	}
	again := &incoming{id: strconv.Itoa(mostReceipts + 99)}
	if b.rememberLocked(again); again.seen.attempts != 2 {
		t.Errorf("the newest is not known any more: %+v", again.seen)
	}
}
