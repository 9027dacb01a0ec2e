package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A subscriber receives webhooks and remembers when the final event of each
// session came first.
type subscriber struct {
	address string
	events  atomic.Int64 // deliveries, repeated ones among them
	finals  atomic.Int64 // sessions whose final event came
	came    []atomic.Int64
	server  *fasthttp.Server
}

func newSubscriber(sessions int) (*subscriber, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &subscriber{address: listener.Addr().String(), came: make([]atomic.Int64, sessions)}
	s.server = &fasthttp.Server{Handler: s.serve, Name: "subscriber", Logger: log.New(io.Discard, "", 0)}
	go func() { _ = s.server.Serve(listener) }() // ends with close
	return s, nil
}

func (s *subscriber) close() error { return s.server.Shutdown() }

// What an event says of its session, as pollbridge writes it: to parse all of it would
// cost as much as a tenth of the delivery, on the same CPUs.
var (
	tokenOfEvent = []byte(`"token":"`)
	finalEvent   = []byte(`"final":true`)
)

func (s *subscriber) serve(c *fasthttp.RequestCtx) {
	now := time.Now().UnixNano()
	event := c.PostBody()
	_, rest, ok := bytes.Cut(event, tokenOfEvent)
	token, _, closed := bytes.Cut(rest, []byte{'"'})
	n, known := tokenNumber(string(token))
	if !ok || !closed || !known {
		c.SetStatusCode(fasthttp.StatusBadRequest)
		return
	}
	s.events.Add(1)
	if bytes.Contains(event, finalEvent) && n < len(s.came) && s.came[n].CompareAndSwap(0, now) {
		s.finals.Add(1)
	}
	c.SetStatusCode(fasthttp.StatusNoContent)
}
