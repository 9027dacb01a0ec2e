package upstream_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/upstream"
)

// quick is a breaker for tests that wait for it.
func quick(s *setup) {
	s.breaker = upstream.BreakerConfig{Window: time.Minute, MinRequests: 4, FailureRatio: 0.5, OpenFor: 2 * time.Second, Probes: 2}
}

// flaky is an upstream that answers well or badly, as it is told, and counts.
type flaky struct {
	switchable
	requests atomic.Int64
}

func newFlaky() *flaky {
	f := &flaky{}
	f.set(respond(200, waiting))
	return f
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests.Add(1)
	f.switchable.ServeHTTP(w, r)
}

// fail opens the breaker of quick. Each session fails once.
func fail(t testing.TB, c *upstream.Client) {
	t.Helper()
	for session := range 4 {
		c.Poll(t.Context(), another(t, session), forClient)
	}
	wantBreaker(t, c, "open")
}

func wantBreaker(t testing.TB, c *upstream.Client, state string) {
	t.Helper()
	if got := c.Breaker(); got != state {
		t.Errorf("the breaker is %s; want %s", got, state)
	}
}

// TestBreakerOpensOnARatio of sessions, however often each is polled.
func TestBreakerOpensOnARatio(t *testing.T) {
	f := newFlaky()
	var own setup
	c := newClient(t, testkit.Serve(t, f).URL, func(s *setup) { quick(s); s.breaker.OpenFor = time.Hour; own = *s })
	for session := range 6 {
		for range 5 {
			c.Poll(t.Context(), another(t, session), forClient)
		}
	}
	f.set(respond(500, "oops"))
	for session := range 3 { // half of them
		wantBreaker(t, c, "closed")
		_, err := c.Poll(t.Context(), another(t, session), forClient)
		if f := wantFailure(t, err, upstream.Server); f.NotSent() {
			t.Errorf("failure %d says that nothing was sent", session)
		}
	}
	wantBreaker(t, c, "open")
	seen := f.requests.Load()
	for range 100 {
		_, err := c.Poll(t.Context(), asked(t), forClient)
		if f := wantFailure(t, err, upstream.Open); !f.NotSent() || f.RetryAfter > time.Hour || f.RetryAfter < 25*time.Minute {
			t.Errorf("while open: NotSent %t, RetryAfter %v", f.NotSent(), f.RetryAfter)
		}
	}
	if _, err := c.Forward(request(t, c, "GET", "/", nil), nil); err == nil {
		t.Error("Forward got through an open breaker")
	} else {
		wantFailure(t, err, upstream.Open)
	}
	if f.requests.Load() != seen {
		t.Error("the upstream was asked while the breaker was open")
	}
	if got := testkit.Metrics(t, own.registry); got["pollbridge_upstream_requests_total{smartid-sign,circuit_open}"] != 100 || got["pollbridge_breaker_state{"+host(own.URL)+"}"] != 2 {
		t.Errorf("metrics: %v; want 100 polls that were not sent, and state 2", got)
	}
}

func host(url string) string { return strings.TrimPrefix(url, "http://") }

// TestOneSessionOpensNothing for the others, however it fails and however often.
func TestOneSessionOpensNothing(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"500":                      respond(500, "oops"),
		"503":                      respond(503, "<html>"),
		"no JSON":                  respond(200, "<html>"),
		"a transient code":         respond(200, `{"status":"error","error_code":50001}`),
		"a connection that breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"silence":                  func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "session-1000") {
					fail(w, r)
					return
				}
				respond(200, waiting)(w, r)
			}))
			sessions, within := 22, 30*time.Second
			if name == "silence" {
				sessions, within = 4, 500*time.Millisecond
			}
			c := newClient(t, s.URL, timeout(within), func(s *setup) { s.breaker.FailureRatio = 0.01 })
			for session := range sessions {
				for range 4 {
					if _, err := c.Poll(t.Context(), another(t, 1000), forClient); err == nil {
						t.Fatal("the session that fails was answered")
					}
				}
				wantBreaker(t, c, "closed")
				if _, err := c.Poll(t.Context(), another(t, session), forClient); err != nil {
					t.Errorf("another session: %v", err)
				}
			}
		})
	}
}

// TestOneSessionKeepsNothingOpen: while the upstream is probed, it does not reopen the
// breaker for the others.
func TestOneSessionKeepsNothingOpen(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	f.set(respond(500, "oops"))
	c := newClient(t, testkit.Serve(t, f).URL, quick)
	fail(t, c)
	f.set(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "session-1000") {
			respond(500, "oops")(w, r)
			return
		}
		respond(200, waiting)(w, r)
	})
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	for session := range 2 {
		for range 5 {
			_, err := c.Poll(t.Context(), another(t, 1000), forClient)
			wantFailure(t, err, upstream.Server)
		}
		if _, err := c.Poll(t.Context(), another(t, session), forClient); err != nil {
			t.Errorf("a probe: %v", err)
		}
	}
	wantBreaker(t, c, "closed")
}

// TestPagesOpenNothing: what passes through may fail for reasons of its own.
func TestPagesOpenNothing(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	c := newClient(t, testkit.Serve(t, f).URL, quick)
	for status := 500; status <= 504; status++ {
		f.set(respond(status, "text"))
		for range 20 {
			response, err := c.Forward(request(t, c, "GET", "/", nil), nil)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}
	}
	f.set(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for range 20 {
		_, err := c.Forward(request(t, c, "POST", "/", nil), nil)
		wantFailure(t, err, upstream.Connection)
	}
	wantBreaker(t, c, "closed")
}

// TestNobodyIsThere: a connection that cannot be made counts each time, whoever asks.
func TestNobodyIsThere(t *testing.T) {
	for name, ask := range map[string]func(*testing.T, *upstream.Client) error{
		"one session": func(t *testing.T, c *upstream.Client) error {
			_, err := c.Poll(t.Context(), asked(t), forClient)
			return err
		},
		"what passes through": func(t *testing.T, c *upstream.Client) error {
			_, err := c.Forward(request(t, c, "GET", "/", nil), nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.NewRawUpstream(t, func(*testkit.Conn) {})
			s.StopAccepting()
			c := newClient(t, s.URL)
			for range 3 {
				wantBreaker(t, c, "closed")
				wantFailure(t, ask(t, c), upstream.Connection)
			}
			wantBreaker(t, c, "open")
			wantFailure(t, ask(t, c), upstream.Open)
		})
	}
}

// TestOnlyWhatPassesThrough can close the breaker, too, if there is nothing else; and a
// probe that cannot connect opens it again at once.
func TestOnlyWhatPassesThrough(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c := newClient(t, "http://"+address, quick)
	ask := func() error {
		response, err := c.Forward(request(t, c, "GET", "/", nil), nil)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	for range 3 {
		wantFailure(t, ask(), upstream.Connection)
	}
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	wantFailure(t, ask(), upstream.Connection)
	wantBreaker(t, c, "open")
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Skip("somebody else took the port: ", err)
	}
	testkit.NewRawUpstreamOn(t, listener, answering(answer(404, "")))
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	for range 2 {
		if err := ask(); err != nil {
			t.Errorf("a probe: %v", err)
		}
	}
	wantBreaker(t, c, "closed")
}

// TestBreakerIgnoresWhatIsTheCallersFault: one caller must not be able to cut off
// all others.
func TestBreakerIgnoresWhatIsTheCallersFault(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
	}{
		{"bad credential", respond(401, `{"status":"error","error_code":40003}`)},
		{"not found", respond(404, `{"status":"error","error_code":40402}`)},
		{"refused", respond(200, `{"status":"error","error_code":40020}`)},
		{"no code", respond(400, `{"status":"error","message":"what?"}`)},
		{"a page of the web server", respond(404, "<html>not found</html>")},
		{"forbidden", respond(403, "<html>no</html>")},
		{"too slow", respond(408, "")},
		{"slow down", respond(429, "")},
		{"a redirect", respond(302, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFlaky()
			f.set(c.handle)
			client := newClient(t, testkit.Serve(t, f).URL, quick)
			for session := range 20 {
				client.Poll(t.Context(), another(t, session), forClient)
			}
			wantBreaker(t, client, "closed")
		})
	}
}

// TestFailingSessionsDoNotKeepItOpen: after an outage the sessions that always fail neither
// open it again while it is probed, nor when the others have just closed it.
func TestFailingSessionsDoNotKeepItOpen(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	f.set(respond(500, "oops"))
	c := newClient(t, testkit.Serve(t, f).URL, quick)
	for session := range 10 {
		c.Poll(t.Context(), another(t, session), forClient)
	}
	wantBreaker(t, c, "open")
	f.set(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "session-0.") || strings.Contains(r.URL.Path, "session-1.") {
			respond(500, "oops")(w, r)
			return
		}
		respond(200, waiting)(w, r)
	})
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	for round := range 5 {
		for session := range 10 {
			_, err := c.Poll(t.Context(), another(t, session), forClient)
			if failure, ok := errors.AsType[*upstream.Failure](err); ok && failure.NotSent() {
				t.Fatalf("round %d, session %d: %v; want it to be asked", round, session, err)
			}
		}
	}
	wantBreaker(t, c, "closed")
}

func TestBreakerProbesAndCloses(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	f.set(respond(500, "oops"))
	c := newClient(t, testkit.Serve(t, f).URL, quick)
	fail(t, c)

	// Probes of three sessions that fail open it again.
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	for session := range 3 {
		wantBreaker(t, c, "half-open")
		_, err := c.Poll(t.Context(), another(t, session), forClient)
		wantFailure(t, err, upstream.Server)
	}
	wantBreaker(t, c, "open")

	// No more probes at once than configured; who is no probe is told so at once.
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		respond(200, waiting)(w, r)
	})
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	var probes sync.WaitGroup
	for range 2 {
		probes.Go(func() { poll(t, c, waiting) })
	}
	<-arrived
	<-arrived
	for range 5 {
		_, err := c.Poll(t.Context(), asked(t), forClient)
		if f := wantFailure(t, err, upstream.Open); !f.NotSent() {
			t.Error("a poll beside the probes was sent")
		}
	}
	close(release)
	probes.Wait()
	wantBreaker(t, c, "closed")
	poll(t, c, waiting)
}

// TestBreakerAfterClose: whoever shows its state may still do so.
func TestBreakerAfterClose(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	f.set(respond(500, "oops"))
	var own setup
	c, err := upstream.New(upstream.Config{URL: testkit.Serve(t, f).URL, Timeout: time.Second, MaxInflight: 4},
		upstream.BreakerConfig{Window: time.Minute, MinRequests: 1, FailureRatio: 0.5, OpenFor: 2 * time.Second, Probes: 1},
		options(&own))
	if err != nil {
		t.Fatal(err)
	}
	fail(t, c)
	c.Close()
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
}

// TestEndOfAnOutageIsNoticed: an upstream that was silent for a while is asked
// patiently no more, so that its return is noticed within open_for, whatever the
// timeout.
func TestEndOfAnOutageIsNoticed(t *testing.T) {
	const whole = 4 * time.Second
	certificates, ca := certificate(t)
	for _, c := range []struct {
		name string
		tls  bool // silent at the handshake already
	}{{"silent after the request", false}, {"silent at the TLS handshake", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var down atomic.Bool
			down.Store(true)
			s := testkit.NewRawUpstream(t, func(p *testkit.Conn) {
				if c.tls {
					if down.Load() {
						p.UntilClosed()
						return
					}
					p.StartTLS(&tls.Config{Certificates: certificates})
				}
				for {
					if _, ok := p.ReadRequest(); !ok {
						return
					}
					if down.Load() {
						p.UntilClosed()
						return
					}
					p.Say(answer(200, waiting))
				}
			})
			url := s.URL
			client := newClient(t, strings.Replace(url, "http", map[bool]string{true: "https", false: "http"}[c.tls], 1), timeout(whole), func(s *setup) {
				s.breaker = upstream.BreakerConfig{Window: time.Minute, MinRequests: 4, FailureRatio: 0.5, OpenFor: 2 * time.Second, Probes: 1}
				if c.tls {
					s.CAFile = ca
				}
			})
			var polls sync.WaitGroup
			for session := range 4 {
				polls.Go(func() {
					_, err := client.Poll(t.Context(), another(t, session), forClient)
					wantFailure(t, err, upstream.Timeout)
				})
			}
			polls.Wait()
			wantBreaker(t, client, "open")
			testkit.Eventually(t, "half-open", func() bool { return client.Breaker() == "half-open" })
			began := time.Now()
			_, err := client.Poll(t.Context(), asked(t), forClient) // a probe while it is still down
			wantFailure(t, err, upstream.Timeout)
			if took := time.Since(began); took > whole/2 {
				t.Errorf("a probe waited %v; want a quarter of open_for", took)
			}

			down.Store(false)
			back := time.Now()
			testkit.Eventually(t, "an answer", func() bool {
				_, err := client.Poll(t.Context(), asked(t), forClient)
				return err == nil
			})
			if took := time.Since(back); took > 5*time.Second {
				t.Errorf("the end of the outage was noticed after %v; want it within 5s", took)
			}
			wantBreaker(t, client, "closed")
		})
	}
}

// TestOverload: whoever finds no room waits a little, and is then told so.
func TestOverload(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	s := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		respond(200, waiting)(w, r)
	}))
	var own setup
	c := newClient(t, s.URL, quick, func(s *setup) { s.MaxInflight = 1; own = *s })
	var first sync.WaitGroup
	first.Go(func() { poll(t, c, waiting) })
	<-arrived

	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			_, err := c.Poll(t.Context(), asked(t), forClient)
			if f := wantFailure(t, err, upstream.Overload); !f.NotSent() {
				t.Error("a poll that found no room was sent")
			}
		})
		others.Go(func() {
			_, err := c.Forward(request(t, c, "GET", "/", nil), nil)
			wantFailure(t, err, upstream.Overload)
		})
	}
	leave, cancel := context.WithCancelCause(t.Context())
	cancel(errGone)
	if _, err := c.Forward(request(t, c, "GET", "/", nil).WithContext(leave), nil); err != errGone {
		t.Errorf("a client that left while it queued: Forward = %v; want its cause", err)
	}
	if _, err := c.Poll(leave, asked(t), forClient); err != errGone {
		t.Errorf("a client that left while it queued: Poll = %v; want its cause", err)
	}
	others.Wait()
	close(release)
	first.Wait()
	wantBreaker(t, c, "closed")
	poll(t, c, waiting)
	if _, err := c.Poll(leave, asked(t), forClient); err != errGone || len(arrived) > 1 {
		t.Errorf("a poll that was given up before it was sent: %v, and %d arrived; want its cause, and the one before", err, len(arrived))
	}
	if got := testkit.Metrics(t, own.registry); got["pollbridge_upstream_requests_total{smartid-sign,overload}"] != 3 || got["pollbridge_upstream_requests_total{passthrough,overload}"] != 3 {
		t.Errorf("metrics: %v; want 3 of each that found no room", got)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	c := newClient(t, testkit.Serve(t, f).URL, func(s *setup) { s.Rate = 20 })
	began := time.Now()
	for range 6 {
		poll(t, c, waiting)
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("6 polls took %v at 20 a second", took)
	}
	slow := newClient(t, testkit.Serve(t, f).URL, func(s *setup) { s.Rate = 0.1 })
	poll(t, slow, waiting)
	_, err := slow.Poll(t.Context(), asked(t), forClient)
	wantFailure(t, err, upstream.Overload)
}

// TestSlowAnswersDoNotHoldUpRecovery: what passes through may take its time, and
// polls find out meanwhile that the upstream is back.
func TestSlowAnswersDoNotHoldUpRecovery(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	f.set(respond(500, "oops"))
	c := newClient(t, testkit.Serve(t, f).URL, quick)
	fail(t, c)
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		respond(200, waiting)(w, r)
	})
	testkit.Eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	var forwards sync.WaitGroup
	for range 2 {
		forwards.Go(func() {
			response, err := c.Forward(request(t, c, "GET", "/slow", nil), nil)
			if err != nil {
				t.Errorf("a slow answer: %v", err)
				return
			}
			response.Body.Close()
		})
		<-arrived
	}
	if _, err := c.Forward(request(t, c, "GET", "/slow", nil), nil); err == nil {
		t.Error("more than probes got through")
	} else {
		wantFailure(t, err, upstream.Open)
	}
	poll(t, c, waiting)
	poll(t, c, waiting)
	wantBreaker(t, c, "closed")
	close(release)
	forwards.Wait()
	wantBreaker(t, c, "closed")
}
