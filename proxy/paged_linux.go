package proxy

import (
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
