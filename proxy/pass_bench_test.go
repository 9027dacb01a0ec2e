package proxy_test

import (
	"bytes"
	"log/slog"
	"net"
	"testing"

	"pollbridge/proxy"
	"pollbridge/session"
	"pollbridge/upstream"

	"github.com/prometheus/client_golang/prometheus"
)

const passRequest = "GET /api/document/5e55/check-status.json?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n"

const passAnswer = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 21:34:30 GMT\r\nContent-Type: application/json\r\n" +
	"Content-Length: 15\r\nCache-Control: no-cache, private\r\n\r\n{\"status\":\"ok\"}"

// parrot is an upstream that answers every request alike, and allocates nothing.
func parrot(tb testing.TB) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buffer, answer := make([]byte, 4096), []byte(passAnswer)
				for n, err := conn.Read(buffer); err == nil; n, err = conn.Read(buffer) {
					if bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
						conn.Write(answer)
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// newPassThrough returns a server that passes everything through to a parrot.
func newPassThrough(tb testing.TB) *proxy.Server {
	log := slog.New(slog.DiscardHandler)
	cfg := upstream.DefaultConfig()
	cfg.URL = "http://" + parrot(tb)
	client, err := upstream.New(cfg, upstream.DefaultBreakerConfig(), upstream.Options{Log: log, Registry: prometheus.NewRegistry()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	if err != nil {
		tb.Fatal(err)
	}
	server, err := proxy.New(proxy.DefaultConfig(), proxy.Options{
		Table: table, Upstream: client, Log: log, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return server
}

// BenchmarkPassThrough is for a small request; the upstream's share of the time is in it.
func BenchmarkPassThrough(b *testing.B) {
	server := newPassThrough(b)
	serveEndlessly(b, passRequest, server.Serve, server.Shutdown)
}
