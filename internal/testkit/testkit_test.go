package testkit_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// TestVerify with the example of the Standard Webhooks' specification.
func TestVerify(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	made := func(id, body string) testkit.Webhook {
		return testkit.Webhook{Body: []byte(body), Header: http.Header{
			"Webhook-Id": {id}, "Webhook-Timestamp": {"1614265330"}, "Webhook-Signature": {"v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		}}
	}
	const id, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`
	if err := made(id, body).Verify(secret); err != nil {
		t.Errorf("Verify = %v; want none", err)
	}
	for what, err := range map[string]error{
		"another body": made(id, body+" ").Verify(secret), "another id": made("msg_other", body).Verify(secret),
		"another secret": made(id, body).Verify(secret[:len(secret)-4] + "LaSx"), "no secret": made(id, body).Verify(""),
	} {
		if err == nil {
			t.Errorf("%s: Verify takes it", what)
		}
	}
}

// TestReceiver: a webhook counts once it came whole, and can be waited for.
func TestReceiver(t *testing.T) {
	r := testkit.NewReceiver(t, testkit.AnswerStatus(500))
	for n, status := range []int{500, 204} {
		if n == 1 {
			r.Set(testkit.AnswerStatus(204))
		}
		body := fmt.Sprintf(`{"type":"session.pending","data":{"n":%d},"Body":"x","At":1}`, n)
		if a := testkit.Do(t, "POST", r.URL+"/hook", body, "Webhook-Id: evt_1"); a.Status != status {
			t.Errorf("answered %d, %v; want %d", a.Status, a.Err, status)
		}
		got := r.Wait(t, n+1)[n]
		if got.ID() != "evt_1" || got.Path != "/hook" || string(got.Body) != body || got.Type != "session.pending" || got.Data["n"] != float64(n) || got.At.IsZero() {
			t.Errorf("got %+v", got)
		}
	}
	cut := testkit.DoStreaming(t, "POST", r.URL, &failing{})
	if cut.Err == nil || r.Count() != 2 {
		t.Errorf("%v, %d webhooks; want an error, and 2", cut.Err, r.Count())
	}
}

// failing is a body that breaks off.
type failing struct{ read bool }

func (f *failing) Read(p []byte) (int, error) {
	if f.read {
		return 0, fmt.Errorf("broken")
	}
	f.read = true
	return copy(p, "half"), nil
}

// TestUpstreams: what came is remembered, as it was read and as it was sent.
func TestUpstreams(t *testing.T) {
	u := testkit.NewUpstream(t, nil)
	if a := testkit.Do(t, "POST", u.URL+"/a?b", "body", "x_a: 1"); a.Status != 200 || a.Body != testkit.Waiting {
		t.Errorf("answered %d %s, %v", a.Status, a.Body, a.Err)
	}
	if seen := u.Last(t); seen.Method != "POST" || seen.Target != "/a?b" || seen.Body != "body" || seen.Header.Get("X_a") != "1" || seen.Err != nil || u.Count() != 1 {
		t.Errorf("saw %+v", seen)
	}
	if raw := u.Raw(); !strings.HasPrefix(raw, "POST /a?b HTTP/1.1\r\n") || !strings.HasSuffix(raw, "\r\n\r\nbody") {
		t.Errorf("read %q", raw)
	}
	if u.Reset(); u.Count() != 0 || u.Raw() != "" {
		t.Errorf("%d requests after Reset", u.Count())
	}

	raw := testkit.NewRawUpstream(t, func(c *testkit.Conn) {
		for {
			if _, whole := c.ReadRequest(); !whole {
				return
			}
			c.Say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
			c.Say(fmt.Sprint(c.Number))
		}
	})
	for range 2 {
		if a := testkit.Do(t, "POST", raw.URL, "two", "Content-Type: a/b"); a.Body != "1" {
			t.Errorf("answered %q, %v; want by the first connection", a.Body, a.Err)
		}
	}
	if seen := raw.Requests(); len(seen) != 2 || !strings.HasPrefix(seen[1], "POST / HTTP/1.1\r\n") || !strings.HasSuffix(seen[1], "\r\n\r\ntwo") {
		t.Errorf("saw %q", seen)
	}
}

// TestPortsAreHeld: nobody gets one a second time while the test that has it goes on.
func TestPortsAreHeld(t *testing.T) {
	all := map[string]bool{}
	for range 200 {
		for _, port := range testkit.Ports(t, 10) {
			if all[port] {
				t.Fatalf("%s was given twice", port)
			}
			all[port] = true
		}
	}
}
