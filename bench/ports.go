package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// startGrace is how long a server may take until it answers.
const startGrace = 15 * time.Second

// freeAddress returns a loopback address that the kernel just gave out. It is
// free again on return; nothing keeps another program from taking it.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	address := listener.Addr().String()
	return address, listener.Close()
}

// waitUntil calls ready until it returns nil. It gives up when the process
// ended, the time is over or ctx is done.
func waitUntil(ctx context.Context, p *process, ready func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, startGrace)
	defer cancel()
	for {
		err := ready(limited)
		if err == nil {
			return nil
		}
		if dead := p.dead(); dead != nil {
			return dead
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limited.Done():
			return fmt.Errorf("%s is not ready after %s: %w\n%s", p.name, startGrace, err, p.lastOutput())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// accepts returns a check that address takes connections.
func accepts(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// answersOK returns a check that a GET of url is answered with 200.
func answersOK(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, res.Status)
		}
		return nil
	}
}
