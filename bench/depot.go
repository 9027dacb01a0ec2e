package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Paths of the depot; none is a status request to anyone.
const (
	depotSmall    = "/api/small"
	depotUpload   = "/api/document/upload.json"
	depotDownload = "/api/document/download"
)

// A depot is an upstream that takes and gives large documents.
type depot struct {
	address string
	server  *http.Server
}

// newDepot starts a depot. The caller must close it.
func newDepot() (*depot, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+depotSmall, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, smallAnswer) })
	mux.HandleFunc("POST "+depotUpload, takeDocument)
	mux.HandleFunc("GET "+depotDownload, giveDocument)
	d := &depot{listener.Addr().String(), &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}}
	go func() { _ = d.server.Serve(listener) }() // ends with close
	return d, nil
}

func (d *depot) close() { _ = d.server.Close() }

// takeDocument reads a document slowly and answers with its digest.
func takeDocument(w http.ResponseWriter, req *http.Request) {
	digest := sha256.New()
	if _, err := io.Copy(digest, slowly(req.Body)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, hex.EncodeToString(digest.Sum(nil)))
}

func giveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Length", strconv.Itoa(transferSize))
	_, _ = io.Copy(w, newDocument(transferSize)) // who left cannot be told
}

// newDocument returns a document of n bytes, the same at every call.
func newDocument(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{'d', 'o', 'c'}), n)
}

// slowly returns a reader of at most 20 MB a second.
func slowly(r io.Reader) io.Reader { return &slowReader{source: r} }

type slowReader struct {
	source io.Reader
	since  int // bytes since the last pause
}

const (
	slowStep  = 1_000_000
	slowPause = 50 * time.Millisecond
)

func (s *slowReader) Read(b []byte) (int, error) {
	if s.since >= slowStep {
		time.Sleep(slowPause)
		s.since = 0
	}
	n, err := s.source.Read(b)
	s.since += n
	return n, err
}
