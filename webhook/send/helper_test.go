package send_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/webhook/send"
	"pollbridge/webhook/signature"
)

// setup is what a sender is made of, and what it sends.
type setup struct {
	send.Config
	send.Options
	answerTime time.Duration
	payload    []byte
}

// sender sends to one receiver.
type sender struct {
	*send.Sender
	t   testing.TB
	url string
	setup
}

// newSender returns a sender that may send to a URL.
func newSender(t testing.TB, to string, changes ...func(*setup)) *sender {
	t.Helper()
	u, err := url.Parse(to)
	testkit.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	testkit.NoError(t, err)
	s := setup{Config: send.DefaultConfig(), Options: send.Options{UserAgent: "pollbridge/test", Concurrency: 8}, payload: []byte("{}")}
	s.Timeout, s.AllowHTTP, s.AllowPorts = testkit.Timeout, true, []int{port}
	s.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, change := range changes {
		change(&s)
	}
	made, err := send.New(s.Config, s.Options)
	testkit.NoError(t, err)
	t.Cleanup(made.Close)
	made.SetAnswerTime(cmp.Or(s.answerTime, time.Second))
	return &sender{made, t, to, s}
}

func timeout(d time.Duration) func(*setup) { return func(s *setup) { s.Timeout = d } }

// send makes an attempt at a message of that id.
func (s *sender) send(id string) send.Outcome {
	s.t.Helper()
	return s.sendContext(s.t.Context(), id)
}

func (s *sender) sendContext(ctx context.Context, id string) send.Outcome {
	s.t.Helper()
	return s.Send(ctx, send.Message{URL: s.url, ID: id, Payload: s.payload, Keys: []string{signature.NewSecret()}})
}

// want reports an attempt that went in another way.
func (s *sender) want(o send.Outcome, status int, class string) {
	s.t.Helper()
	if o.Status != status || o.Error != class {
		s.t.Errorf("status %d, %q (%s) after %v; want %d, %q", o.Status, o.Error, o.Detail, o.Duration, status, class)
	}
	if o.Duration > testkit.Timeout/2 {
		s.t.Errorf("it took %v", o.Duration)
	}
}

// receiver speaks bytes: it answers the first request of each connection by say, and
// leaves the connection to its sender. It tells when that has closed it.
func receiver(t testing.TB, say func(*testkit.Conn)) (r *testkit.RawUpstream, closed <-chan struct{}) {
	t.Helper()
	ended := make(chan struct{}, 100)
	r = testkit.NewRawUpstream(t, func(c *testkit.Conn) {
		if _, ok := c.ReadRequest(); ok {
			say(c)
		}
		c.UntilClosed()
		ended <- struct{}{}
	})
	return r, ended
}

// http2Receiver returns a receiver that speaks HTTP/2, and what a sender needs to trust it.
func http2Receiver(t testing.TB, answer http.HandlerFunc) (to string, trusting func(*setup)) {
	t.Helper()
	own := testkit.NewCertificate(t)
	r := testkit.NewTLSReceiver(t, &tls.Config{Certificates: []tls.Certificate{own.Certificate}}, nil)
	r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		io.Copy(io.Discard, request.Body)
		if !request.ProtoAtLeast(2, 0) {
			t.Errorf("a request came in %s", request.Proto)
		}
		answer(w, request)
	})
	return r.URL, func(s *setup) { s.Roots = own.Pool() }
}

// failing is a connection that takes no more once it was told so, without a byte of it.
type failing struct {
	net.Conn
	now *bool
}

func (c failing) NetConn() net.Conn { return c.Conn }

func (c failing) Write(p []byte) (int, error) {
	if *c.now {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}
