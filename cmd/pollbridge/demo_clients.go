package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"pollbridge/internal/period"
	"pollbridge/simulator"
	"pollbridge/webhook/signature"

	"github.com/go-json-experiment/json"
)

// demoSigning is one session of the upstream.
type demoSigning struct {
	token, path string        // the path without its locale
	told        atomic.Bool   // a client was told how it ended
	over        chan struct{} // closed then
}

// startClients starts the clients and the outage, until ctx ends.
func (d *demo) startClients(ctx context.Context) {
	d.http = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: d.cmd.Clients + d.cmd.Sessions}}
	d.clients.Go(func() { d.runOutage(ctx) })
	for i := range d.signings {
		d.clients.Go(func() { d.keepSigning(ctx, i) })
	}
	for i := range d.cmd.Clients {
		d.clients.Go(func() { d.runClient(ctx, i) })
	}
}

// keepSigning has one signing after another under way until ctx ends.
func (d *demo) keepSigning(ctx context.Context, i int) {
	for ctx.Err() == nil {
		s := d.startSigning(ctx, []string{"/smartid/sign", "/mobile/sign"}[i%2])
		if s == nil { // the upstream is down
			period.Pause(ctx, time.Second)
			continue
		}
		d.signings[i].Store(s)
		select {
		case <-s.over:
		case <-ctx.Done():
		}
	}
}

func (d *demo) startSigning(ctx context.Context, path string) *demoSigning {
	d.starting.RLock()
	defer d.starting.RUnlock()
	started, err := d.post(ctx, path+".json", `{"access_token":"demo","type":"pdf","country":"LT","phone":"+37060000007","code":"50001010006"}`)
	if err != nil {
		return nil
	}
	s := &demoSigning{token: started.Token, path: path + "/status/" + started.Token + ".json", over: make(chan struct{})}
	d.poll(ctx, s, "")
	return s
}

// runClient polls one signing after another as the clients of a signing API do: it knows
// nothing of the bridge but the address. Some speak English and some Lithuanian.
func (d *demo) runClient(ctx context.Context, i int) {
	locale := []string{"", "/en"}[i%2]
	for at := i; period.Pause(ctx, 250*time.Millisecond+rand.N(250*time.Millisecond)) == nil; at += d.cmd.Clients {
		if s := d.signings[at%len(d.signings)].Load(); s != nil {
			d.poll(ctx, s, locale)
		}
	}
}

// poll asks once, and compares the answer with what really became of the signing. What the
// end of the demonstration cuts short does not count.
func (d *demo) poll(ctx context.Context, s *demoSigning, locale string) {
	told := s.told.Load() // and so has to be this client
	answer, err := d.post(ctx, locale+s.path, `{"access_token":"demo"}`)
	if ctx.Err() != nil {
		return
	}
	known, _ := d.sim.Session(s.token)
	ended := answer.Status == "ok" && known.State == simulator.Succeeded ||
		answer.Status == "error" && answer.ErrorCode == cmp.Or(known.State.Code(), -1)
	if err == nil && !ended && (told || answer.Status != "waiting") {
		err = fmt.Errorf("status %q, code %d, for a signing that is %s", answer.Status, answer.ErrorCode, known.State)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen.asked++
	if err != nil {
		d.seen.errors++
		d.seen.firstError = cmp.Or(d.seen.firstError, err.Error())
	}
	if ended && s.told.CompareAndSwap(false, true) {
		close(s.over)
		d.seen.addDelay(&d.seen.clientDelays, known.Ended)
	}
}

type demoAnswer struct {
	Status    string `json:"status"`
	ErrorCode int    `json:"error_code"`
	Token     string `json:"token"` // of a start call
}

func (d *demo) post(ctx context.Context, path, body string) (answer demoAnswer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, localURL(d.bridge.publicListener.Addr().String())+path, strings.NewReader(body))
	if err != nil {
		return answer, err
	}
	response, err := d.http.Do(request)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("HTTP %s", response.Status)
	}
	return answer, json.UnmarshalRead(response.Body, &answer)
}

// receive is somebody's webhook endpoint: it verifies what comes, and notes when it learned
// of the end of each signing.
func (d *demo) receive(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Data struct {
			Token string `json:"token"`
			Final bool   `json:"final"`
		} `json:"data"`
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = signature.Verify(r.Header, body, time.Now(), d.secret)
	}
	if err != nil || json.Unmarshal(body, &event) != nil {
		w.WriteHeader(http.StatusBadRequest) // and is missing in the table
		return
	}
	known, _ := d.sim.Session(event.Data.Token)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen.webhooks++
	if event.Data.Final {
		d.seen.addDelay(&d.seen.webhookDelays, known.Ended)
	}
}

// runOutage takes the upstream down in the middle of the demonstration, but for no longer
// than half of what the bridge bridges (cache.stale_if_error): it refuses, then it hangs.
func (d *demo) runOutage(ctx context.Context) {
	length := min(d.cmd.Duration/5, time.Minute)
	if period.Pause(ctx, d.cmd.Duration*2/5) != nil {
		return
	}
	d.starting.Lock()
	d.setFault(simulator.Error502)
	d.starting.Unlock()
	if period.Pause(ctx, length/2) == nil {
		d.setFault(simulator.Hang)
		period.Pause(ctx, length/2)
	}
	d.setFault(simulator.None)
}

func (d *demo) setFault(mode simulator.Mode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen.fault = mode; mode == simulator.None {
		d.seen.up = time.Now()
	}
	_ = d.sim.SetFault(simulator.Fault{Mode: mode}) // it is one
}
