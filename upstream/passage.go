package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// passage is one request that passes through: its slot, and what the breaker and the
// metrics are told of it.
type passage struct {
	client *Client
	start  time.Time
	probes bool
	onEnd  func() // nil if there is nothing to be done
}

// pass waits until a request may be sent. The caller must call failed, or answered
// and, at the end of the answer, release.
func (c *Client) pass(ctx context.Context) (passage, error) {
	if err := c.slots.forForward(ctx); err != nil {
		c.metrics.countPoll(passthrough, outcome(nil, err))
		return passage{}, err
	}
	probes, err := c.guard.pass()
	if err != nil {
		c.slots.freeForward()
		c.metrics.countPoll(passthrough, outcome(nil, err))
		return passage{}, err
	}
	return passage{client: c, start: time.Now(), probes: probes}, nil
}

var errSilent = errors.New("nothing moved for too long")

// clientsFault wraps the error with which reading the body of a request failed.
type clientsFault struct{ error }

// failed ends the passage and returns whose fault that was: the cause of ctx, the
// error of the client's body, or a failure of the upstream.
func (p *passage) failed(ctx context.Context, err error) error {
	defer p.release()
	verdict := errNoVerdict
	cause := context.Cause(ctx)
	clients, isClients := errors.AsType[*clientsFault](err)
	switch {
	case cause != nil && !errors.Is(cause, errSilent):
		err = cause
	case cause == nil && isClients:
		err = clients.error
	case cause != nil:
		err = failed(Timeout, cause)
		verdict = err
	default:
		err = brokenExchange(err)
		verdict = err
	}
	p.client.guard.judge(p.probes, verdict)
	p.client.metrics.observePoll(passthrough, outcome(nil, err), time.Since(p.start))
	return err
}

// answered tells that the head of an answer has arrived now.
func (p *passage) answered(status int, now time.Time) {
	p.client.guard.judge(p.probes, statusVerdict(status))
	p.client.metrics.observePassed(status, now.Sub(p.start))
}

// release ends the passage. It may be called once.
func (p *passage) release() {
	if p.onEnd != nil {
		p.onEnd()
	}
	p.client.slots.freeForward()
}

// statusVerdict counts as failures only the answers of a server that cannot be
// reached or cannot cope: a plain 500 may be the request's own fault, and one client
// must not be able to open the circuit for all.
func statusVerdict(status int) error {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return failed(Server, nil)
	}
	return nil
}
