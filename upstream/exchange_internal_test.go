package upstream

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func internalClient(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	cfg := DefaultConfig()
	cfg.URL = s.URL
	c, err := New(cfg, DefaultBreakerConfig(), Options{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func ask(t *testing.T, c *Client, body io.ReadCloser) (*http.Response, error) {
	t.Helper()
	u, err := c.URL("/")
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: "POST", URL: u, Header: http.Header{}, Body: body}
	return c.Forward(r.WithContext(t.Context()), nil)
}

// TestSilenceEndsAnExchange, before its answer or within that, but only silence.
func TestSilenceEndsAnExchange(t *testing.T) {
	const silence = time.Second
	silent := make(chan struct{})
	c := internalClient(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for range 15 { // for longer than the silence in all
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			select {
			case <-silent:
			case <-time.After(silence / 10):
				continue
			}
			<-r.Context().Done()
		}
	})
	c.silence = silence
	response, err := ask(t, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(response.Body); err != nil || len(text) != 60 {
		t.Errorf("a slow answer: %q, %v; want all of it", text, err)
	}
	response.Body.Close()

	close(silent)
	if response, err = ask(t, c, nil); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(response.Body)
	if f := BrokenAnswer(err); f.Reason != Timeout || !errors.Is(f, errSilent) {
		t.Errorf("a silent answer: %v; want %s", f, Timeout)
	}
	response.Body.Close()

	upload, _ := io.Pipe() // a client that sends nothing
	if _, err = ask(t, c, upload); err == nil {
		t.Fatal("an answer")
	}
	if f, ok := errors.AsType[*Failure](err); !ok || f.Reason != Timeout || f.NotSent() {
		t.Errorf("a silent exchange: %v; want %s", err, Timeout)
	}
}

// TestConnectionsGrowOld: after a while none is used that was made before.
func TestConnectionsGrowOld(t *testing.T) {
	c := internalClient(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	from := func() (address string) {
		t.Helper()
		response, err := ask(t, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return string(text)
	}
	first := from()
	under, err := ask(t, c, nil) // under way while the time comes
	if err != nil {
		t.Fatal(err)
	}
	if again := from(); again == first {
		t.Error("two exchanges at the same time on one connection")
	}
	c.forwardsMade = c.forwardsMade.Add(-connectionAge)
	later := from()
	if text, _ := io.ReadAll(under.Body); string(text) != first || later == first {
		t.Errorf("from %s, then %s, then %s; want a new connection at last", first, text, later)
	}
	under.Body.Close()
	for tries := 0; ; tries++ { // net/http may give one up on a busy machine
		again := from()
		if again == later {
			break
		}
		if later = again; tries == 10 {
			t.Fatal("no connection is used again")
		}
	}
}

type roundTripper func() (*http.Response, error)

func (r roundTripper) RoundTrip(*http.Request) (*http.Response, error) { return r() }

// TestAnswerOnAStaleConnection: what net/http takes for one had come before the request.
func TestAnswerOnAStaleConnection(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://upstream.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	x := newExchange(r, nil, time.Minute, func() {})
	defer x.release()
	surplus, _ := io.Pipe()
	trips := 0
	response, err := x.send(roundTripper(func() (*http.Response, error) {
		if trips++; trips == 1 {
			x.stale = true
			return &http.Response{StatusCode: 200, Body: surplus}, nil
		}
		return &http.Response{StatusCode: 404, Body: http.NoBody}, nil
	}))
	if err != nil || response.StatusCode != 404 || trips != 2 {
		t.Errorf("%v, %v after %d; want the answer of the second connection", response, err, trips)
	}
	if err == nil && response.StatusCode == 404 {
		if _, err := surplus.Read(make([]byte, 1)); err != io.ErrClosedPipe {
			t.Errorf("the body of the first is not closed: %v", err)
		}
	}
}
