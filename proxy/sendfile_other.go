//go:build !linux

package proxy

import (
	"errors"
	"net"
	"os"
)

func newPaged([]byte) (*os.File, error) { return nil, errors.ErrUnsupported }

func writeMore(to *net.TCPConn, p []byte) (int, error) { return to.Write(p) }

func writePages(*net.TCPConn, *os.File, int, int) (int, error) { return 0, errors.ErrUnsupported }
