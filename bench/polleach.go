package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// eachResult is what came of polling many sessions once each.
type eachResult struct {
	asked, answered int64 // answered as the upstream would have
	took            time.Duration

	mu    sync.Mutex // guards first
	first string     // the first answer or error that was not as it should be
}

// pollEach polls every stride-th of a number of sessions once, over a number
// of connections, until it is through, the time is over or ctx is done.
func pollEach(ctx context.Context, address string, connections int, bound time.Duration, sessions, stride int) *eachResult {
	return pollSome(ctx, address, connections, bound, 0, sessions, stride)
}

// pollRange polls the sessions from one number up to another once each.
func pollRange(ctx context.Context, address string, connections int, bound time.Duration, from, to int) *eachResult {
	return pollSome(ctx, address, connections, bound, from, to, 1)
}

func pollSome(ctx context.Context, address string, connections int, bound time.Duration, from, sessions, stride int) *eachResult {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	// Writing the time bound as a flag keeps the loop free of channels.
	var over atomic.Bool
	defer context.AfterFunc(ctx, func() { over.Store(true) })()

	r := &eachResult{}
	client := &fasthttp.HostClient{Addr: address, MaxConns: connections}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range connections {
		workers.Go(func() {
			for !over.Load() {
				n := from + int(next.Add(1)-1)*stride
				if n >= sessions {
					return
				}
				r.poll(client, n)
			}
		})
	}
	workers.Wait()
	r.took = time.Since(began)
	return r
}

// poll asks for one session and counts what came.
func (r *eachResult) poll(client *fasthttp.HostClient, n int) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI("http://" + client.Addr + statusPath(n))
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	req.SetBodyString(statusBody)

	atomic.AddInt64(&r.asked, 1)
	switch err := client.DoTimeout(req, res, 10*time.Second); {
	case err != nil:
		r.note(err.Error())
	case res.StatusCode() != fasthttp.StatusOK || string(res.Body()) != pendingAnswer:
		r.note(fmt.Sprintf("%d %.100q", res.StatusCode(), res.Body()))
	default:
		atomic.AddInt64(&r.answered, 1)
	}
}

func (r *eachResult) note(trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == "" {
		r.first = trouble
	}
}

// trouble describes what was not answered.
func (r *eachResult) trouble() string {
	if r.asked == r.answered {
		return "none"
	}
	return fmt.Sprintf("%d, the first: %s", r.asked-r.answered, r.first)
}
