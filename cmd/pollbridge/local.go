package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/term"
)

// serveUntil returns nil when ctx ended. It gives what is being answered then a second
// and cuts the rest short. What breaks is not logged.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	server.ReadHeaderTimeout = 10 * time.Second
	server.ErrorLog = log.New(io.Discard, "", 0)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = server.Shutdown(grace)
	server.Close()
	<-failed
	return nil
}

// localURL is where a client on this machine finds what listens on address.
func localURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + address
}

// isTerminal reports whether out is a terminal that can do more than print lines.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

func toMillisecond(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
