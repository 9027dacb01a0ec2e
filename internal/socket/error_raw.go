//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x)

package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// opError is the error that package net would return.
func (c *Conn) opError(op string, err error, errno syscall.Errno) error {
	if raw, ok := errors.AsType[*net.OpError](err); ok {
		err = raw.Err
	}
	if err == nil {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
