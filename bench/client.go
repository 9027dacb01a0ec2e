package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A client polls sessions of a server, or of replicas.
type client struct {
	http fasthttp.HostClient
	host string
}

// newClient returns a client of at most so many connections. Where there are several
// addresses, separated by commas, they go to each in turn. The caller must close it.
func newClient(addresses string, connections int) *client {
	host, _, _ := strings.Cut(addresses, ",")
	return &client{fasthttp.HostClient{Addr: addresses, MaxConns: connections}, host}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// poll asks for one session and returns the answer, which is 200.
func (c *client) poll(session int) ([]byte, error) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI("http://" + c.host + statusPath(session))
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	req.SetBodyString(statusBody)
	if err := c.http.DoTimeout(req, res, 10*time.Second); err != nil {
		return nil, err
	}
	if res.StatusCode() != fasthttp.StatusOK {
		return nil, fmt.Errorf("status %d: %.100q", res.StatusCode(), res.Body())
	}
	return bytes.Clone(res.Body()), nil
}

// polled is what came of polling many sessions once each.
type polled struct {
	asked, answered atomic.Int64 // answered as pending
	took            time.Duration
	trouble         atomic.Pointer[string] // the first answer or error that was not as it should be
}

// pollPending polls every step-th of a number of sessions, all pending, once each,
// over a number of connections, until it is through, the time is over or ctx is done.
func pollPending(ctx context.Context, addresses string, connections int, most time.Duration, sessions, step int) *polled {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var p polled
	c := newClient(addresses, connections)
	defer c.close()
	var next atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range connections {
		workers.Go(func() {
			for ctx.Err() == nil {
				session := int(next.Add(1)-1) * step
				if session >= sessions {
					return
				}
				p.asked.Add(1)
				answer, err := c.poll(session)
				if err == nil && string(answer) != pendingAnswer {
					err = fmt.Errorf("answered %.100q", answer)
				}
				if err != nil {
					text := err.Error()
					p.trouble.CompareAndSwap(nil, &text)
					continue
				}
				p.answered.Add(1)
			}
		})
	}
	workers.Wait()
	p.took = time.Since(began)
	return &p
}

// err tells that a number of sessions should have been answered, or nil.
func (p *polled) err(sessions int) error {
	if p.answered.Load() == int64(sessions) {
		return nil
	}
	trouble := "none of the others failed"
	if text := p.trouble.Load(); text != nil {
		trouble = "the first that was not: " + *text
	}
	return fmt.Errorf("%d of %d sessions answered as pending; %s", p.answered.Load(), sessions, trouble)
}
