package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A signer is a signing API whose sessions end when they are told to. It knows
// the sessions that the load numbers, runs inside the bench, and remembers
// when it told of an end for the first time.
type signer struct {
	address string
	polls   atomic.Int64
	ended   []atomic.Bool
	told    []atomic.Int64 // Unix nanoseconds; 0 before
	server  *fasthttp.Server
}

// newSigner starts a signer of a number of sessions, all pending. The caller
// must close it.
func newSigner(sessions int) (*signer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &signer{address: listener.Addr().String(), ended: make([]atomic.Bool, sessions), told: make([]atomic.Int64, sessions)}
	s.server = &fasthttp.Server{Handler: s.serve, Name: "signer", Logger: log.New(io.Discard, "", 0)}
	go func() { _ = s.server.Serve(listener) }() // ends with close
	return s, nil
}

func (s *signer) close() error { return s.server.Shutdown() }

// end ends the signing with that number.
func (s *signer) end(n int) { s.ended[n].Store(true) }

// signedAnswer is a final answer with a small document.
var signedAnswer = []byte(`{"status":"ok","signature_id":"5e55","file":{"name":"contract_signed.pdf","content":"` +
	string(bytes.Repeat([]byte("A"), 2048)) + `","digest":"5e55"},"person":{"name":"Ona","surname":"Example"}}`)

func (s *signer) serve(c *fasthttp.RequestCtx) {
	n, ok := sessionNumber(c.Path())
	if !ok || n >= len(s.ended) {
		c.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	s.polls.Add(1)
	if !s.ended[n].Load() {
		writeJSON(c, []byte(pendingAnswer))
		return
	}
	s.told[n].CompareAndSwap(0, time.Now().UnixNano())
	writeJSON(c, signedAnswer)
}

// sessionNumber is the number of the session that a path is about.
func sessionNumber(path []byte) (int, bool) {
	token, found := bytes.CutPrefix(path, []byte(statusPrefix))
	token, isStatus := bytes.CutSuffix(token, []byte(statusSuffix))
	if !found || !isStatus {
		return 0, false
	}
	return tokenNumber(string(token))
}

func tokenNumber(token string) (int, bool) {
	if len(token) < len("5e55") {
		return 0, false
	}
	n, err := strconv.ParseInt(token[len("5e55"):], 16, 32)
	return int(n), err == nil
}
