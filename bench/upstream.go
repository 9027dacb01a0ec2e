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

// smallPath is answered with smallAnswer, of about 200 bytes; it is no status
// request to anyone.
const (
	smallPath   = "/api/document/5e55/check-status.json"
	smallAnswer = `{"status":"ok","document":{"id":"5e55","name":"contract.pdf","state":"sent","created":"2026-01-02T03:04:05+02:00","signers":[{"name":"Ona","state":"signed"},{"name":"Jonas","state":"waiting"}]}}`
)

// An upstream is the signing API as far as the load needs one. It runs inside
// the bench, whose CPU time is nobody's, and counts what reaches it.
type upstream struct {
	address string
	answer  []byte
	delay   time.Duration
	ledger  *ledger
	failing atomic.Bool
	server  *fasthttp.Server
}

// newUpstream starts an upstream that answers every poll alike, after delay.
// The caller must close it.
func newUpstream(answer []byte, delay time.Duration) (*upstream, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{address: listener.Addr().String(), answer: answer, delay: delay, ledger: newLedger()}
	u.server = &fasthttp.Server{
		Handler: u.serve,
		Name:    "upstream",
		Logger:  log.New(io.Discard, "", 0), // it tells of every connection that is cut
	}
	go func() { _ = u.server.Serve(listener) }() // ends with close
	return u, nil
}

func (u *upstream) close() error { return u.server.Shutdown() }

// fail makes the upstream answer 503 to everything from now on.
func (u *upstream) fail() { u.failing.Store(true) }

func (u *upstream) serve(c *fasthttp.RequestCtx) {
	path := c.Path()
	switch {
	case u.failing.Load():
		c.SetStatusCode(fasthttp.StatusServiceUnavailable)
	case c.IsPost() && bytes.HasPrefix(path, []byte(statusPrefix)):
		u.serveStatus(c, string(path))
	case c.IsGet() && string(path) == smallPath:
		writeJSON(c, []byte(smallAnswer))
	default:
		c.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func (u *upstream) serveStatus(c *fasthttp.RequestCtx, token string) {
	defer u.ledger.enter(token)()
	if u.delay > 0 {
		time.Sleep(u.delay)
	}
	writeJSON(c, u.answer)
}

// writeJSON answers with the headers that such APIs ordinarily have.
func writeJSON(c *fasthttp.RequestCtx, body []byte) {
	c.SetContentType("application/json")
	c.Response.Header.Set("X-Content-Type-Options", "nosniff")
	c.Response.Header.Set("Strict-Transport-Security", "max-age=31536000")
	c.Response.SetBodyRaw(body)
}
