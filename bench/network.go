package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// freeAddress returns a loopback address that the kernel just gave out. It is
// free again on return; nothing keeps another program from taking it.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await calls done, 50 times a second at most, until it returns nil. It gives up when the process ended, the
// time is over or ctx is done.
func (p *process) await(ctx context.Context, most time.Duration, done func(context.Context) error) error {
	for began := time.Now(); ; {
		err := done(ctx)
		if err == nil {
			return nil
		}
		if err := errors.Join(pause(ctx, 20*time.Millisecond), p.dead()); err != nil {
			return err
		}
		if time.Since(began) > most {
			text, _ := os.ReadFile(p.output)
			return fmt.Errorf("%s: not within %s: %w\n%s", p.name, most, err, tail(text))
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
