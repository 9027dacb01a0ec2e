//go:build unix

package peek

import (
	"io"

	"golang.org/x/sys/unix"
)

// asking is one call of Ask.
type asking struct {
	question, answer []byte
	asked            bool
	sent, got        int
	err              error
}

func (s *Socket) ask(question, answer []byte) (sent, got int, err error) {
	if s.step == nil {
		s.step = func(fd uintptr) bool { return s.asking.step(int(fd)) }
	}
	s.asking = asking{question: question, answer: answer}
	// The runtime forgets what it was told of this socket before it calls step. What
	// comes after that it tells, so once step has found nothing, it may wait without
	// trying to read: that would be in vain, and costs as much as reading.
	err = s.raw.Read(s.step)
	a := s.asking
	s.asking = asking{}
	if err == nil {
		err = a.err
	}
	return a.sent, a.got, err
}

// step reports whether that was all.
func (a *asking) step(fd int) (done bool) {
	if !a.asked {
		a.asked = true
		if look(uintptr(fd)) != Quiet {
			a.err = ErrNotQuiet
			return true
		}
		a.write(fd)
		return a.err != nil || a.sent < len(a.question)
	}
	return a.read(fd)
}

// write writes what the kernel takes at once.
func (a *asking) write(fd int) {
	for a.sent < len(a.question) {
		n, err := unix.Write(fd, a.question[a.sent:])
		switch err {
		case nil:
			a.sent += n
		case unix.EINTR:
		case unix.EAGAIN:
			return
		default:
			a.err = err
			return
		}
	}
}

func (a *asking) read(fd int) (done bool) {
	for {
		n, err := unix.Read(fd, a.answer)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err == nil && n == 0:
			err = io.EOF
		}
		a.got, a.err = max(n, 0), err
		return true
	}
}
