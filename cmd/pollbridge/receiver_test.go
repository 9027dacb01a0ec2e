package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// webhookReceiver is somebody's webhook endpoint. It checks signatures by itself, in the way
// that Standard Webhooks prescribes.
type webhookReceiver struct {
	t      testing.TB
	server *httptest.Server

	mu     sync.Mutex
	secret string // guarded by mu, like all below
	fails  func(attempt int) bool
	tries  int
	events []received
}

// received is an event that was verified and answered 2xx.
type received struct {
	id      string // webhook-id
	Type    string `json:"type"`
	Data    eventData
	payload string
}

type eventData struct {
	Session       string          `json:"session"`
	Endpoint      string          `json:"endpoint"`
	Token         string          `json:"token"`
	Sequence      int             `json:"sequence"`
	State         string          `json:"state"`
	PreviousState *string         `json:"previous_state"`
	Final         bool            `json:"final"`
	Response      json.RawMessage `json:"response"`
	FileOmitted   bool            `json:"file_omitted"`
}

func newWebhookReceiver(t testing.TB, fails func(attempt int) bool) *webhookReceiver {
	r := &webhookReceiver{t: t, fails: fails}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *webhookReceiver) port() string {
	u, err := url.Parse(r.server.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Port()
}

func (r *webhookReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if err != nil || r.fails != nil && r.fails(r.tries) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	e := received{id: request.Header.Get("webhook-id"), payload: string(body)}
	if err := r.verify(request.Header, body); err != nil {
		r.t.Errorf("webhook %s: %v", e.id, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("webhook %s: %v in %s", e.id, err, body)
	}
	r.events = append(r.events, e)
	w.WriteHeader(http.StatusNoContent)
}

func (r *webhookReceiver) verify(header http.Header, body []byte) error {
	encoded, found := strings.CutPrefix(r.secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil {
		return fmt.Errorf("the secret is none: %v", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", header.Get("webhook-id"), header.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for signature := range strings.FieldsSeq(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return nil
		}
	}
	return fmt.Errorf("signature %q does not fit the body", header.Get("webhook-signature"))
}

func (r *webhookReceiver) setSecret(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

// finals returns the ids under which the final event of each token came.
func (r *webhookReceiver) finals() map[string]map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := map[string]map[string]bool{}
	for _, e := range r.events {
		if !e.Data.Final {
			continue
		}
		if ids[e.Data.Token] == nil {
			ids[e.Data.Token] = map[string]bool{}
		}
		ids[e.Data.Token][e.id] = true
	}
	return ids
}
