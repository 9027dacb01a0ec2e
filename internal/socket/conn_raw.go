//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x) && !race

package socket

import (
	"io"
	"net"
	"syscall"
	"unsafe"
)

// direct is what a Conn needs for its system calls.
type direct struct {
	raw           syscall.RawConn
	in            incoming
	out           outgoing
	asking        bool // the next step of in is the first one of a question
	receive, send func(fd uintptr) (done bool)
}

// incoming is one call of Read.
type incoming struct {
	to   []byte
	n    int
	fail syscall.Errno
}

// outgoing is one call of Write.
type outgoing struct {
	rest []byte
	n    int
	fail syscall.Errno
}

func (d *direct) prepare(conn *net.TCPConn) {
	d.raw, _ = conn.SyscallConn() // never fails for connections that were made by package net
	d.receive, d.send = d.receiveStep, d.sendStep
}

// largest is the size in bytes of what the kernel is quick to copy. Meanwhile the
// scheduler can do nothing else with this thread.
const largest = 64 << 10

// Read reads at least one byte, like every connection.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.TCPConn.Read(p)
	}
	c.in = incoming{to: p[:min(len(p), largest)]}
	err := c.raw.Read(c.receive)
	return c.received(err)
}

// received returns what came of reading, which ended with err.
func (c *Conn) received(err error) (int, error) {
	in := c.in
	c.in = incoming{}
	switch {
	case err != nil || in.fail != 0:
		return 0, c.opError("read", err, in.fail)
	case in.n == 0:
		return 0, io.EOF
	}
	return in.n, nil
}

// Write writes all of p, or returns an error.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) > largest {
		return c.TCPConn.Write(p)
	}
	c.out = outgoing{rest: p}
	err := c.raw.Write(c.send)
	out := c.out
	c.out = outgoing{}
	if err != nil || out.fail != 0 {
		return out.n, c.opError("write", err, out.fail)
	}
	return out.n, nil
}

// Ask looks at the connection, and if it is quiet, writes question and reads the first
// of what comes back into answer. The error is ErrNotQuiet if nothing was written.
// While it asks, both deadlines have to be the same.
func (c *Conn) Ask(question, answer []byte) (int, error) {
	c.in, c.out = incoming{to: answer[:min(len(answer), largest)]}, outgoing{rest: question}
	c.asking = true
	// The runtime forgets what it was told of this socket before it calls the first step,
	// which looks. What comes after that it tells, so once the step has found nothing, it
	// may wait without trying to read: that would be in vain, and costs as much as reading.
	err := c.raw.Read(c.receive)
	c.asking = false
	out := c.out
	c.out = outgoing{}
	switch {
	case out.fail == notQuiet:
		c.in = incoming{}
		return 0, ErrNotQuiet
	case out.fail != 0:
		c.in = incoming{}
		return 0, c.opError("write", nil, out.fail)
	case len(out.rest) > 0 && err == nil: // the kernel took a part only
		c.in = incoming{}
		if _, err := c.Write(out.rest); err != nil {
			return 0, err
		}
		return c.Read(answer)
	}
	return c.received(err)
}

// notQuiet is no error of the kernel's.
const notQuiet = ^syscall.Errno(0)

// receiveStep reports whether that was all.
func (d *direct) receiveStep(fd uintptr) (done bool) {
	if d.asking {
		d.asking = false
		return !d.ask(fd)
	}
	in := &d.in
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(in.to))), uintptr(len(in.to)))
		switch errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			in.n, in.fail = int(n), errno
			return true
		}
	}
}

// ask reports whether an answer is to be waited for.
func (d *direct) ask(fd uintptr) bool {
	if look(fd) != Quiet {
		d.out.fail = notQuiet
		return false
	}
	return d.sendStep(fd) && d.out.fail == 0
}

// sendStep reports whether that was all.
func (d *direct) sendStep(fd uintptr) (done bool) {
	out := &d.out
	for len(out.rest) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(out.rest))), uintptr(len(out.rest)))
		switch errno {
		case 0:
			out.n += int(n)
			out.rest = out.rest[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			out.fail = errno
			return true
		}
	}
	return true
}
