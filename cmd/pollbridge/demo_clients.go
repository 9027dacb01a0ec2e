package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"pollbridge/simulator"
)

const (
	demoCredential = "demo-credential"
	demoPatience   = 15 * time.Second // of a client, for one answer
	demoWait       = "wait=10"        // longer than the outage lasts in most demonstrations
)

// newDemoHTTP returns what n clients poll with.
func newDemoHTTP(n int) *http.Client {
	return &http.Client{
		Timeout:   demoPatience,
		Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true},
	}
}

// demoClient polls as the clients of a signing API do: it knows nothing of the
// bridge but the address.
type demoClient struct {
	http   *http.Client
	url    string
	prefix string // of paths: the locale
	waits  bool   // prefers held answers to many
	sim    *simulator.Simulator
	tally  *demoTally
	outage *demoOutage
}

// run polls one signing after another until ctx ends: those at the desk numbered
// first, and every step further.
func (c *demoClient) run(ctx context.Context, desks []*demoDesk, first, step int) {
	var last *demoSigning
	for at := first; ; at = (at + step) % len(desks) {
		signing := desks[at].next(ctx, last)
		if signing == nil {
			return
		}
		signing.join(time.Now())
		if !c.follow(ctx, signing) {
			return
		}
		last = signing
	}
}

// follow polls until the signing has ended; it is false if ctx ended first.
func (c *demoClient) follow(ctx context.Context, s *demoSigning) bool {
	for demoPause(ctx, 500*time.Millisecond+rand.N(500*time.Millisecond)) {
		if c.poll(ctx, s) {
			return true
		}
	}
	return false
}

// poll asks once, and is true if the answer was how the signing ended. A poll that
// the end of the demonstration cuts short does not count.
func (c *demoClient) poll(ctx context.Context, s *demoSigning) (ended bool) {
	told := s.wasTold()
	answer, err := c.status(ctx, s)
	at := time.Now()
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		ended, err = c.believe(answer, s, told)
	}
	c.tally.answered(answer.kind, c.outage.now().phase.down(), err)
	if err != nil {
		return false
	}
	if answer.kind == demoMiss || answer.kind == demoCollapsed {
		c.outage.answered(at)
	}
	if ended && s.tell() {
		c.tally.signingEnded(c.delay(s, at))
	}
	return ended
}

// delay is how long it took until the first client was told of the end.
func (c *demoClient) delay(s *demoSigning, told time.Time) (d time.Duration, held bool) {
	known, _ := c.sim.Session(s.token)
	return c.outage.now().delay(s.polledFrom(known.Ended), told)
}

// demoAnswer is what the bridge answered to a poll.
type demoAnswer struct {
	kind demoKind
	body demoBody
}

type demoBody struct {
	Status    string `json:"status"`
	ErrorCode int    `json:"error_code"`
	Token     string `json:"token"` // of a start call
}

func (c *demoClient) status(ctx context.Context, s *demoSigning) (demoAnswer, error) {
	path := "/" + s.service + "/sign/status/" + s.token + ".json"
	response, body, err := c.post(ctx, path, map[string]string{"access_token": demoCredential, "token": s.token})
	if err != nil {
		return demoAnswer{}, err
	}
	return demoAnswer{kind: demoKindOf(response.Header.Get("Cache-Status")), body: body}, nil
}

// start begins a signing and returns its token.
func (c *demoClient) start(ctx context.Context, service string) (token string, err error) {
	_, body, err := c.post(ctx, "/"+service+"/sign.json", map[string]string{
		"access_token": demoCredential, "type": "pdf", "country": "LT", "phone": "+37060000007", "code": "50001010006",
	})
	if err != nil {
		return "", err
	}
	if body.Token == "" {
		return "", errors.New("the start of a signing was answered without a token")
	}
	return body.Token, nil
}

func (c *demoClient) post(ctx context.Context, path string, parameters map[string]string) (*http.Response, demoBody, error) {
	var read demoBody
	asked, err := json.Marshal(parameters)
	if err != nil {
		return nil, read, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+c.prefix+path, strings.NewReader(string(asked)))
	if err != nil {
		return nil, read, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.waits {
		request.Header.Set("Prefer", demoWait)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, read, err
	}
	defer response.Body.Close()
	answered, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, read, fmt.Errorf("half an answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, read, fmt.Errorf("HTTP %s", response.Status)
	}
	if err := json.Unmarshal(answered, &read); err != nil {
		return nil, read, fmt.Errorf("an answer that is no JSON: %w", err)
	}
	return response, read, nil
}

// believe compares an answer with what really became of the signing. told is
// whether some client knew of its end before this one asked.
func (c *demoClient) believe(answer demoAnswer, s *demoSigning, told bool) (ended bool, err error) {
	known, ok := c.sim.Session(s.token)
	body := answer.body
	switch {
	case !ok:
		return false, errors.New("the upstream lost a signing")
	case body.Status == "waiting" && told:
		return false, errors.New(`"waiting" after the end had been told`)
	case body.Status == "waiting":
		return false, nil
	case known.Ended.IsZero():
		return false, fmt.Errorf("status %q, code %d, for a signing under way", body.Status, body.ErrorCode)
	case body.Status == "ok" && known.Outcome == simulator.Succeeded,
		body.Status == "error" && body.ErrorCode == cmp.Or(known.Outcome.Code(), -1):
		return true, nil
	}
	return false, fmt.Errorf("status %q, code %d, for a signing that ended %s", body.Status, body.ErrorCode, known.Outcome)
}
