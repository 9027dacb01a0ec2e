package main

import (
	"io"
	"log"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Paths that are no status request to anyone.
const (
	smallPath    = "/api/document/5e55/check-status.json"
	uploadPath   = "/api/document/upload.json"
	downloadPath = "/api/document/download"

	smallAnswer = `{"status":"ok","document":{"id":"5e55","name":"contract.pdf","state":"sent","created":"2026-01-02T03:04:05+02:00","signers":[{"name":"Ona","state":"signed"},{"name":"Jonas","state":"waiting"}]}}`
)

// An api is what the upstream of a scenario answers.
type api struct {
	sessions int // how many the load asks for
	answer   []byte
	final    func(session int) []byte // of sessions that have ended
	freshFor time.Duration            // how long a cache may keep an answer; pollbridge decides that by itself
	delay    time.Duration            // before each status answer
}

// An upstream is the signing API as far as the load needs one. It runs inside
// the bench, whose CPU time is nobody's, and counts what reaches it.
type upstream struct {
	api
	address        string
	requests, most atomic.Int64 // so far, and most in flight at once
	failing        atomic.Bool  // answers 503 to everything

	inFlight atomic.Int64
	ended    []atomic.Bool
	told     []atomic.Int64 // Unix nanoseconds of a session's first final answer
	asked    []atomic.Int64 // the port at which a session was last asked for
	server   *fasthttp.Server
}

// newUpstream starts an upstream. The caller must close it.
func newUpstream(a api) (u *upstream, err error) {
	u = &upstream{api: a, ended: make([]atomic.Bool, a.sessions), told: make([]atomic.Int64, a.sessions), asked: make([]atomic.Int64, a.sessions)}
	u.server = quietServer("upstream", u.serve)
	u.server.StreamRequestBody = true
	u.address, err = u.listen()
	return u, err
}

// listen returns one more address of the upstream, which tells who asks from others.
func (u *upstream) listen() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { _ = u.server.Serve(listener) }() // ends with close
	return listener.Addr().String(), nil
}

// quietServer returns a server that does not tell of every connection that is cut.
func quietServer(name string, handler fasthttp.RequestHandler) *fasthttp.Server {
	return &fasthttp.Server{Handler: handler, Name: name, Logger: log.New(io.Discard, "", 0)}
}

func (u *upstream) close() error { return u.server.Shutdown() }

// end ends the signing with that number.
func (u *upstream) end(session int) { u.ended[session].Store(true) }

func (u *upstream) serve(c *fasthttp.RequestCtx) {
	u.requests.Add(1)
	now := u.inFlight.Add(1)
	defer u.inFlight.Add(-1)
	for most := u.most.Load(); now > most && !u.most.CompareAndSwap(most, now); most = u.most.Load() {
	}
	session, isStatus := sessionOf(c.Path())
	switch path := string(c.Path()); {
	case u.failing.Load():
		c.SetStatusCode(fasthttp.StatusServiceUnavailable)
	case isStatus && c.IsPost():
		u.serveStatus(c, session)
	case path == smallPath:
		writeJSON(c, []byte(smallAnswer))
	case path == uploadPath && c.IsPost():
		takeDocument(c)
	case path == downloadPath:
		c.SetContentType("application/pdf")
		c.SetBodyStream(newDocument(), documentSize)
	default:
		c.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func (u *upstream) serveStatus(c *fasthttp.RequestCtx, session int) {
	if u.delay > 0 {
		time.Sleep(u.delay)
	}
	if session >= u.sessions {
		writeJSON(c, u.answer)
		return
	}
	u.asked[session].Store(int64(c.LocalAddr().(*net.TCPAddr).Port))
	if !u.ended[session].Load() {
		writeJSON(c, u.answer)
		return
	}
	u.told[session].CompareAndSwap(0, time.Now().UnixNano())
	writeJSON(c, u.final(session))
}

// writeJSON answers with the headers that such APIs ordinarily have.
func writeJSON(c *fasthttp.RequestCtx, body []byte) {
	c.SetContentType("application/json")
	c.Response.Header.Set("X-Content-Type-Options", "nosniff")
	c.Response.Header.Set("Strict-Transport-Security", "max-age=31536000")
	c.Response.SetBodyRaw(body)
}

// takeDocument reads a document slowly and answers with its size.
func takeDocument(c *fasthttp.RequestCtx) {
	n, err := io.Copy(io.Discard, &slowReader{source: c.RequestBodyStream()})
	if err != nil {
		c.SetConnectionClose()
		c.SetStatusCode(fasthttp.StatusBadRequest)
	}
	c.SetBodyString(strconv.FormatInt(n, 10))
}

const documentSize = 40_000_000

// newDocument returns a document of 40 MB.
func newDocument() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), documentSize) }

// A slowReader reads at most 20 MB a second: only if whoever receives is slower
// than who sends does a proxy that holds documents show it.
type slowReader struct {
	source io.Reader
	since  int // bytes since the last pause
}

func (s *slowReader) Read(b []byte) (int, error) {
	if s.since >= 1_000_000 {
		time.Sleep(50 * time.Millisecond)
		s.since = 0
	}
	n, err := s.source.Read(b)
	s.since += n
	return n, err
}
