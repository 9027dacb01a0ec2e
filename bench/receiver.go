package main

import (
	"bytes"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A receiver takes webhooks and remembers when the final event of each session
// came first.
type receiver struct {
	address string
	events  atomic.Int64 // deliveries, repeated ones among them
	finals  atomic.Int64 // sessions whose final event came
	came    []atomic.Int64
	server  *fasthttp.Server
}

func newReceiver(sessions int) (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{address: listener.Addr().String(), came: make([]atomic.Int64, sessions)}
	r.server = quietServer("receiver", r.serve)
	go func() { _ = r.server.Serve(listener) }() // ends with close
	return r, nil
}

func (r *receiver) close() error { return r.server.Shutdown() }

// serve reads what it needs of an event as pollbridge writes it: to parse all of it
// would cost as much as a tenth of the delivery, on the same CPUs.
func (r *receiver) serve(c *fasthttp.RequestCtx) {
	now := time.Now().UnixNano()
	event := c.PostBody()
	_, rest, _ := bytes.Cut(event, []byte(`"token":"`))
	token, _, _ := bytes.Cut(rest, []byte{'"'})
	session, ok := sessionOfToken(token)
	if !ok || session >= len(r.came) {
		c.SetStatusCode(fasthttp.StatusBadRequest)
		return
	}
	r.events.Add(1)
	if bytes.Contains(event, []byte(`"final":true`)) && r.came[session].CompareAndSwap(0, now) {
		r.finals.Add(1)
	}
	c.SetStatusCode(fasthttp.StatusNoContent)
}
