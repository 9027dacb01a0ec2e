package main

import (
	"encoding/json"
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

func (s *subscriber) serve(c *fasthttp.RequestCtx) {
	now := time.Now().UnixNano()
	var event struct {
		Data struct {
			Token string `json:"token"`
			Final bool   `json:"final"`
		} `json:"data"`
	}
	if err := json.Unmarshal(c.PostBody(), &event); err != nil {
		c.SetStatusCode(fasthttp.StatusBadRequest)
		return
	}
	s.events.Add(1)
	if n, ok := tokenNumber(event.Data.Token); ok && event.Data.Final && n < len(s.came) && s.came[n].CompareAndSwap(0, now) {
		s.finals.Add(1)
	}
	c.SetStatusCode(fasthttp.StatusNoContent)
}
