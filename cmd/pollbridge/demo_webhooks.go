package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"pollbridge/simulator"
	"pollbridge/webhook"
)

// demoWebhooks is somebody's webhook endpoint: it verifies what comes, and notes when
// it learned of the end of each signing.
type demoWebhooks struct {
	sim    *simulator.Simulator
	server *http.Server
	url    string
	listen net.Addr

	mu     sync.Mutex
	times  func() demoTimes // of the outage; guarded by mu, like all below
	secret string
	counts demoWebhookCounts
	known  map[string]bool // webhook-ids
}

// demoWebhookCounts is what came.
type demoWebhookCounts struct {
	events   int64           // each once
	unsigned int64           // whose signature did not fit
	delays   []time.Duration // sorted: from a signing's end to its webhook
}

func newDemoWebhooks(sim *simulator.Simulator) (*demoWebhooks, error) {
	listener, err := net.Listen("tcp", demoLoopback)
	if err != nil {
		return nil, fmt.Errorf("webhook receiver: %w", err)
	}
	w := &demoWebhooks{sim: sim, listen: listener.Addr(), known: map[string]bool{}, times: func() demoTimes { return demoTimes{} }, url: simulationURL(listener.Addr()) + "/webhooks"}
	w.server = &http.Server{Handler: w, ReadTimeout: demoPatience, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = w.server.Serve(listener) }() // ends with stop
	return w, nil
}

func (w *demoWebhooks) stop() { w.server.Close() }

func (w *demoWebhooks) port() int { return w.listen.(*net.TCPAddr).Port }

// knowOutage tells of an outage that holds events up.
func (w *demoWebhooks) knowOutage(o *demoOutage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = o.now
}

// subscribe has the bridge send everything here.
func (w *demoWebhooks) subscribe(ctx context.Context, service *webhook.Service) error {
	made, err := service.Create(ctx, webhook.NewSubscription{URL: w.url, Description: "the demonstration's own receiver"})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secret = made.Secret
	return nil
}

func (w *demoWebhooks) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	at := time.Now()
	if err != nil {
		answer.WriteHeader(http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := webhook.Verify(request.Header, body, at, w.secret); err != nil {
		w.counts.unsigned++
		answer.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.noteLocked(request.Header.Get("webhook-id"), body, at)
	answer.WriteHeader(http.StatusNoContent)
}

func (w *demoWebhooks) noteLocked(id string, body []byte, at time.Time) {
	if w.known[id] {
		return
	}
	w.known[id] = true
	w.counts.events++
	var event struct {
		Data struct {
			Token string `json:"token"`
			Final bool   `json:"final"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil || !event.Data.Final {
		return
	}
	signing, ok := w.sim.Session(event.Data.Token)
	if !ok || signing.Ended.IsZero() {
		return
	}
	delay, held := w.times().delay(signing.Ended, at)
	if held {
		return
	}
	w.counts.delays = insertSorted(w.counts.delays, delay)
}

// fill sets what the receiver knows of the figures.
func (w *demoWebhooks) fill(f *demoFigures) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &w.counts
	f.Webhooks, f.WebhooksUnsigned = c.events, c.unsigned
	if n := len(c.delays); n > 0 {
		f.WebhookMedian, f.WebhookWorst = c.delays[n/2], c.delays[n-1]
	}
}
