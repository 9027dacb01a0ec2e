package accept_test

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/internal/accept"
	"pollbridge/internal/testkit"
)

// failing is a listener whose Accept fails a number of times.
type failing struct {
	net.Listener
	left int
	err  error
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left--; f.left >= 0 {
		return nil, f.err
	}
	client, server := net.Pipe()
	client.Close()
	return server, nil
}

func (f *failing) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (f *failing) Close() error   { return nil }

func TestErrorsPass(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPERM} {
		t.Run(errno.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log testkit.LogBuffer
				err := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", errno)}
				ln := accept.Retrying(&failing{left: 20, err: err}, slog.New(slog.NewTextHandler(&log, nil)))
				start := time.Now()
				if _, err := ln.Accept(); err != nil {
					t.Errorf("Accept = %v; want a connection, later", err)
				}
				if took := time.Since(start); took < 5*time.Second || took > time.Minute {
					t.Errorf("20 errors took %v; want a wait after each that grows to a second", took)
				}
				if n := strings.Count(log.String(), "\n"); n != 1 {
					t.Errorf("logged %d lines; want one:\n%s", n, log.String())
				}
			})
		})
	}
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := accept.Retrying(&failing{left: 1 << 30, err: syscall.EMFILE}, slog.New(slog.DiscardHandler))
		done := make(chan error)
		go func() {
			_, err := ln.Accept()
			done <- err
		}()
		synctest.Wait()
		ln.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept = %v; want net.ErrClosed", err)
		}
	})
}
