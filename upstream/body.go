package upstream

import (
	"context"
	"errors"
	"io"
	"sync"
)

// upload is the body of a request. As long as nothing of it was read, the request may be
// sent on another connection. It remembers why reading failed, unless that was because
// reading was given up here (io.ErrClosedPipe).
type upload struct {
	io.ReadCloser
	moved func()

	closing sync.Once

	mu      sync.Mutex
	started bool  // guarded by mu
	err     error // of the client; guarded by mu
}

// attempt is the body of a request that is sent once.
type attempt struct {
	upload *upload
	closed bool // guarded by mu of upload
}

func (u *upload) attempt() io.ReadCloser { return &attempt{upload: u} }

// begun reports whether reading the body has begun. A request without one has nil.
func (u *upload) begun() bool {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.started
}

func (a *attempt) Read(p []byte) (int, error) {
	u := a.upload
	u.mu.Lock()
	if a.closed {
		u.mu.Unlock()
		return 0, io.ErrClosedPipe
	}
	u.started = true
	u.mu.Unlock()
	n, err := u.ReadCloser.Read(p)
	u.moved()
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrClosedPipe) {
		u.mu.Lock()
		u.err = err
		u.mu.Unlock()
	}
	return n, err
}

func (a *attempt) Close() error {
	u := a.upload
	u.mu.Lock()
	a.closed = true
	started := u.started
	u.mu.Unlock()
	if started {
		u.end()
	}
	return nil
}

// end closes the body, which ends reading it. A request without one has nil.
func (u *upload) end() {
	if u != nil {
		u.closing.Do(func() { u.ReadCloser.Close() })
	}
}

// failure is why reading the body failed. A request without one has nil.
func (u *upload) failure() error {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// download is the body of an answer; closing it ends the exchange.
type download struct {
	io.ReadCloser
	exchange *exchange
	once     sync.Once
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.exchange.moved()
	if err != nil && err != io.EOF && context.Cause(d.exchange.ctx) == errSilent {
		err = errSilent
	}
	return n, err
}

func (d *download) Close() error {
	defer d.once.Do(d.exchange.release)
	return d.ReadCloser.Close()
}
