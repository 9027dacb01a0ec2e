package proxy

import (
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// newPaged makes a file in memory, without a name. It is closed when nothing refers
// to it any more.
func newPaged(body []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("answer", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "answer")
	if _, err := file.Write(body); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// writeMore writes p and tells the kernel that more will follow, so that it does not
// send what fills no packet.
func writeMore(to *net.TCPConn, p []byte) (int, error) {
	return writeBy(to, len(p), func(fd, done int) (int, error) {
		return unix.SendmsgN(fd, p[done:], nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
	})
}

// writePages writes the last n bytes of file, which is size bytes long.
func writePages(to *net.TCPConn, file *os.File, size, n int) (int, error) {
	from, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	offset := int64(size - n)
	return writeBy(to, n, func(fd, done int) (sent int, err error) {
		closed := from.Control(func(file uintptr) {
			sent, err = unix.Sendfile(fd, int(file), &offset, n-done)
		})
		if err == nil && sent == 0 {
			err = io.ErrUnexpectedEOF
		}
		return sent, errors.Join(closed, err)
	})
}

// writeBy calls write, with how much has been written, until that is n, and waits in
// between for to to take more.
func writeBy(to *net.TCPConn, n int, write func(fd, done int) (int, error)) (int, error) {
	socket, err := to.SyscallConn()
	if err != nil {
		return 0, err
	}
	done := 0
	var failed error
	err = socket.Write(func(fd uintptr) bool {
		for done < n {
			more, err := write(int(fd), done)
			done += max(more, 0)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR):
			case err != nil:
				failed = err
				return true
			}
		}
		return true
	})
	return done, errors.Join(err, failed)
}
