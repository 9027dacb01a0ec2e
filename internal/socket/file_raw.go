//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x)

package socket

import (
	"io"
	"os"
	"syscall"
	"unsafe"
)

// WriteMore writes p and tells the kernel that more will follow, so that it does not
// send what fills no packet.
func (c *Conn) WriteMore(p []byte) (int, error) {
	return c.writeBy(len(p), func(fd uintptr, done int) (int, syscall.Errno) {
		rest := p[done:]
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)),
			msgMore|syscall.MSG_NOSIGNAL, 0, 0)
		return int(n), errno
	})
}

const msgMore = 0x8000 // which package syscall does not name

// fileAtOnce is the size in bytes that one system call moves to a socket, so that the
// scheduler is not kept from its other work.
const fileAtOnce = 256 << 10

// WriteFile writes n bytes of file, which has to be in memory, from offset on, without
// copying them. It does not move in the file. Where it fails without having written
// anything, the bytes may be written by Write.
func (c *Conn) WriteFile(file *os.File, offset int64, n int) (int, error) {
	from, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	control := from.Control(func(in uintptr) {
		n, failed = c.writeBy(n, func(fd uintptr, done int) (int, syscall.Errno) {
			sent, _, errno := syscall.RawSyscall6(syscall.SYS_SENDFILE, fd, in, uintptr(unsafe.Pointer(&offset)), uintptr(min(n-done, fileAtOnce)), 0, 0)
			return int(sent), errno
		})
	})
	if control != nil {
		return 0, control
	}
	return n, failed
}

// writeBy calls write, with how much has been written, until that is n, and waits in
// between for the connection to take more.
func (c *Conn) writeBy(n int, write func(fd uintptr, done int) (int, syscall.Errno)) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	done := 0
	var failed syscall.Errno
	short := false
	err = raw.Write(func(fd uintptr) bool {
		for done < n {
			more, errno := write(fd, done)
			switch {
			case errno == syscall.EAGAIN:
				return false
			case errno == syscall.EINTR:
			case errno != 0:
				failed = errno
				return true
			case more == 0: // the file is shorter
				short = true
				return true
			default:
				done += more
			}
		}
		return true
	})
	switch {
	case err != nil || failed != 0:
		return done, c.opError("write", err, failed)
	case short:
		return done, io.ErrUnexpectedEOF
	}
	return done, nil
}
