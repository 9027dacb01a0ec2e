package testkit

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Webhook is one as it came in.
type Webhook struct {
	Header http.Header `json:"-"`
	Path   string      `json:"-"`
	Body   []byte      `json:"-"`
	At     time.Time   `json:"-"`
	From   string      `json:"-"` // who connected: HOST:PORT

	Type string         `json:"type"` // of the body, if it is an event; so is Data
	Data map[string]any `json:"data"`
}

// ID returns the event's id, which is the same in each attempt.
func (w Webhook) ID() string { return w.Header.Get("webhook-id") }

// Verify checks the signature v1 in the way that Standard Webhooks prescribes, with no
// code of the program.
func (w Webhook) Verify(secret string) error {
	encoded, found := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil {
		return fmt.Errorf("the secret is none: %v", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", w.ID(), w.Header.Get("webhook-timestamp"), w.Body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for signature := range strings.FieldsSeq(w.Header.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return nil
		}
	}
	return fmt.Errorf("signature %q does not fit the body", w.Header.Get("webhook-signature"))
}

// AnswerFunc answers the nth webhook that came, counted from 1.
type AnswerFunc func(w http.ResponseWriter, got Webhook, n int)

// AnswerStatus answers a status.
func AnswerStatus(code int) AnswerFunc {
	return func(w http.ResponseWriter, _ Webhook, _ int) { w.WriteHeader(code) }
}

// Receiver is somebody's webhook endpoint. It is safe for concurrent use.
type Receiver struct {
	*httptest.Server

	mu     sync.Mutex
	all    []Webhook // guarded by mu, as below
	answer AnswerFunc
}

// NewReceiver starts a receiver that answers by answer; nil answers 200. It ends with
// the test.
func NewReceiver(t testing.TB, answer AnswerFunc) *Receiver {
	t.Helper()
	r := &Receiver{answer: answer}
	r.Server = Serve(t, r)
	return r
}

// NewTLSReceiver is NewReceiver behind TLS, with HTTP/2. It logs no failed handshake.
func NewTLSReceiver(t testing.TB, config *tls.Config, answer AnswerFunc) *Receiver {
	t.Helper()
	r := &Receiver{answer: answer}
	r.Server = httptest.NewUnstartedServer(r)
	r.TLS, r.EnableHTTP2 = config, true
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP remembers a webhook, and then answers it. One that is cut off did not come.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	got := Webhook{Header: request.Header, Path: request.URL.Path, Body: body, At: time.Now(), From: request.RemoteAddr}
	json.Unmarshal(body, &got)
	r.mu.Lock()
	r.all = append(r.all, got)
	n, answer := len(r.all), r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, got, n)
	}
}

// Set changes how webhooks are answered from now on.
func (r *Receiver) Set(answer AnswerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// Got returns the webhooks that came so far.
func (r *Receiver) Got() []Webhook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// Count returns how many webhooks came so far.
func (r *Receiver) Count() int { return len(r.Got()) }

// Wait waits until n webhooks came, and returns all that did.
func (r *Receiver) Wait(t testing.TB, n int) []Webhook {
	t.Helper()
	if !within(Timeout, func() bool { return r.Count() >= n }) {
		t.Fatalf("%d webhooks came within %v; want %d", r.Count(), Timeout, n)
	}
	return r.Got()
}

// Port returns the port that the receiver listens on.
func (r *Receiver) Port() int { return r.Listener.Addr().(*net.TCPAddr).Port }
