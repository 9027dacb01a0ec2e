//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x)

package socket

import (
	"syscall"
	"unsafe"
)

// look does without what the function for all systems makes room for: the address of
// the sender. Nor is the scheduler told, as this never blocks.
func look(fd uintptr) State {
	var one [1]byte
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return Quiet
		case errno != 0 || n == 0:
			return Closed
		}
		return Data
	}
}
