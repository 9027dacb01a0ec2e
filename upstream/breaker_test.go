package upstream_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/upstream"
)

// quick is a breaker for tests that wait for it.
func quick(s *setup) {
	s.breaker = upstream.BreakerConfig{Window: time.Minute, MinRequests: 4, FailureRatio: 0.5, OpenFor: 400 * time.Millisecond, Probes: 2}
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

func wantBreaker(t testing.TB, c *upstream.Client, state string) {
	t.Helper()
	if got := c.Breaker(); got != state {
		t.Errorf("the breaker is %s; want %s", got, state)
	}
}

func TestBreakerOpensOnARatio(t *testing.T) {
	f := newFlaky()
	var own setup
	c := newClient(t, start(t, f).URL, func(s *setup) { quick(s); s.breaker.OpenFor = time.Hour; s.breaker.MinRequests = 10; own = *s })
	for range 6 {
		poll(t, c, waiting)
	}
	f.set(respond(500, "oops"))
	for i := range 6 {
		wantBreaker(t, c, "closed")
		_, err := c.Poll(t.Context(), asked(t))
		if f := wantFailure(t, err, upstream.Server); f.NotSent() {
			t.Errorf("failure %d says that nothing was sent", i)
		}
	}
	wantBreaker(t, c, "open")
	seen, start := f.requests.Load(), time.Now()
	for range 100 {
		_, err := c.Poll(t.Context(), asked(t))
		if f := wantFailure(t, err, upstream.Open); !f.NotSent() || f.RetryAfter > time.Hour {
			t.Errorf("while open: NotSent %t, RetryAfter %v", f.NotSent(), f.RetryAfter)
		}
	}
	if _, err := c.Forward(request(t, c, "GET", "/", nil)); err == nil {
		t.Error("Forward got through an open breaker")
	} else {
		wantFailure(t, err, upstream.Open)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("100 polls took %v while the breaker was open; want no waiting", took)
	}
	if f.requests.Load() != seen {
		t.Error("the upstream was asked while the breaker was open")
	}
	if got := counted(t, own.registry); got["upstream_requests_total{smartid-sign,circuit_open}"] != 100 || got["breaker_state{"+host(own.URL)+"}"] != 2 {
		t.Errorf("metrics: %v; want 100 polls that were not sent, and state 2", got)
	}
}

func host(url string) string { return strings.TrimPrefix(url, "http://") }

func TestBreakerWantsEnoughRequests(t *testing.T) {
	f := newFlaky()
	f.set(respond(500, "oops"))
	c := newClient(t, start(t, f).URL, quick)
	for range 3 {
		c.Poll(t.Context(), asked(t))
	}
	wantBreaker(t, c, "closed")
	c.Poll(t.Context(), asked(t))
	wantBreaker(t, c, "open")
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
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFlaky()
			f.set(c.handle)
			client := newClient(t, start(t, f).URL, quick)
			for range 20 {
				client.Poll(t.Context(), asked(t))
			}
			wantBreaker(t, client, "closed")
		})
	}
}

func TestBreakerProbesAndCloses(t *testing.T) {
	f := newFlaky()
	f.set(respond(500, "oops"))
	c := newClient(t, start(t, f).URL, quick)
	for range 4 {
		c.Poll(t.Context(), asked(t))
	}
	wantBreaker(t, c, "open")

	// A probe that fails opens it again.
	eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	_, err := c.Poll(t.Context(), asked(t))
	wantFailure(t, err, upstream.Server)
	wantBreaker(t, c, "open")

	// No more probes at once than configured; who is no probe is told so at once.
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		respond(200, waiting)(w, r)
	})
	eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	var probes sync.WaitGroup
	for range 2 {
		probes.Go(func() { poll(t, c, waiting) })
	}
	<-arrived
	<-arrived
	for range 5 {
		_, err := c.Poll(t.Context(), asked(t))
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
	f := newFlaky()
	f.set(respond(500, "oops"))
	var own setup
	c, err := upstream.New(upstream.Config{URL: start(t, f).URL, Timeout: time.Second, MaxInflight: 4},
		upstream.BreakerConfig{Window: time.Minute, MinRequests: 1, FailureRatio: 0.5, OpenFor: 20 * time.Millisecond, Probes: 1},
		options(&own))
	if err != nil {
		t.Fatal(err)
	}
	c.Poll(t.Context(), asked(t))
	wantBreaker(t, c, "open")
	c.Close()
	eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
}

// TestEndOfAnOutageIsNoticed: an upstream that was silent for a while is asked
// patiently no more, so that its return is noticed within open_for, whatever the
// timeout.
func TestEndOfAnOutageIsNoticed(t *testing.T) {
	const patience = 4 * time.Second
	certificates, ca := certificate(t)
	for _, c := range []struct {
		name string
		tls  bool // silent at the handshake already
	}{{"silent after the request", false}, {"silent at the TLS handshake", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var down atomic.Bool
			down.Store(true)
			s := serve(t, func(p *peer) {
				if c.tls {
					if down.Load() {
						p.untilClosed()
						return
					}
					p.Conn = tls.Server(p.Conn, &tls.Config{Certificates: certificates})
					p.read.Reset(p.Conn)
				}
				for {
					if _, ok := p.request(); !ok {
						return
					}
					if down.Load() {
						p.untilClosed()
						return
					}
					p.say(answer(200, waiting))
				}
			})
			url := s.url()
			client := newClient(t, strings.Replace(url, "http", map[bool]string{true: "https", false: "http"}[c.tls], 1), timeout(patience), func(s *setup) {
				s.breaker = upstream.BreakerConfig{Window: time.Minute, MinRequests: 4, FailureRatio: 0.5, OpenFor: 2 * time.Second, Probes: 1}
				if c.tls {
					s.CAFile = ca
				}
			})
			var polls sync.WaitGroup
			for range 4 {
				polls.Go(func() {
					_, err := client.Poll(t.Context(), asked(t))
					wantFailure(t, err, upstream.Timeout)
				})
			}
			polls.Wait()
			wantBreaker(t, client, "open")
			eventually(t, "half-open", func() bool { return client.Breaker() == "half-open" })
			began := time.Now()
			_, err := client.Poll(t.Context(), asked(t)) // a probe while it is still down
			wantFailure(t, err, upstream.Timeout)
			if took := time.Since(began); took > patience/2 {
				t.Errorf("a probe waited %v; want a quarter of open_for", took)
			}

			down.Store(false)
			back := time.Now()
			eventually(t, "an answer", func() bool {
				_, err := client.Poll(t.Context(), asked(t))
				return err == nil
			})
			if took := time.Since(back); took > 5*time.Second {
				t.Errorf("the end of the outage was noticed after %v; want it within 5s", took)
			}
			wantBreaker(t, client, "closed")
		})
	}
}

// TestOverload: who finds no slot waits a little, and is then told so.
func TestOverload(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
			_, err := c.Poll(t.Context(), asked(t))
			if f := wantFailure(t, err, upstream.Overload); !f.NotSent() {
				t.Error("a poll that found no slot was sent")
			}
		})
		others.Go(func() {
			_, err := c.Forward(request(t, c, "GET", "/", nil))
			wantFailure(t, err, upstream.Overload)
		})
	}
	leave, cancel := context.WithCancelCause(t.Context())
	cancel(errGone)
	if _, err := c.Forward(request(t, c, "GET", "/", nil).WithContext(leave)); err != errGone {
		t.Errorf("a client that left while it queued: Forward = %v; want its cause", err)
	}
	if _, err := c.Poll(leave, asked(t)); err != errGone {
		t.Errorf("a client that left while it queued: Poll = %v; want its cause", err)
	}
	others.Wait()
	close(release)
	first.Wait()
	wantBreaker(t, c, "closed")
	poll(t, c, waiting)
	if got := counted(t, own.registry); got["upstream_requests_total{smartid-sign,overload}"] != 3 || got["upstream_requests_total{passthrough,overload}"] != 3 {
		t.Errorf("metrics: %v; want 3 of each that found no slot", got)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	f := newFlaky()
	c := newClient(t, start(t, f).URL, func(s *setup) { s.Rate = 20 })
	began := time.Now()
	for range 6 {
		poll(t, c, waiting)
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("6 polls took %v at 20 a second", took)
	}
	slow := newClient(t, start(t, f).URL, func(s *setup) { s.Rate = 0.1 })
	poll(t, slow, waiting)
	_, err := slow.Poll(t.Context(), asked(t))
	wantFailure(t, err, upstream.Overload)
}

// TestSlowPassagesDoNotHoldUpRecovery: what passes through may take its time, and
// polls find out meanwhile that the upstream is back.
func TestSlowPassagesDoNotHoldUpRecovery(t *testing.T) {
	f := newFlaky()
	f.set(respond(500, "oops"))
	c := newClient(t, start(t, f).URL, quick)
	for range 4 {
		c.Poll(t.Context(), asked(t))
	}
	wantBreaker(t, c, "open")
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	f.set(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		respond(200, waiting)(w, r)
	})
	eventually(t, "half-open", func() bool { return c.Breaker() == "half-open" })
	var passages sync.WaitGroup
	for range 2 {
		passages.Go(func() {
			response, err := c.Forward(request(t, c, "GET", "/slow", nil))
			if err != nil {
				t.Errorf("a slow passage: %v", err)
				return
			}
			response.Body.Close()
		})
		<-arrived
	}
	if _, err := c.Forward(request(t, c, "GET", "/slow", nil)); err == nil {
		t.Error("more passages than probes got through")
	} else {
		wantFailure(t, err, upstream.Open)
	}
	poll(t, c, waiting)
	poll(t, c, waiting)
	wantBreaker(t, c, "closed")
	close(release)
	passages.Wait()
	wantBreaker(t, c, "closed")
}
