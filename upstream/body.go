package upstream

import (
	"errors"
	"io"
	"sync"
	"time"
)

// watchdog calls a function once nothing has happened for a while.
type watchdog struct {
	timer    *time.Timer
	patience time.Duration
}

func newWatchdog(patience time.Duration, bark func()) *watchdog {
	return &watchdog{time.AfterFunc(patience, bark), patience}
}

func (w *watchdog) reset() { w.timer.Reset(w.patience) }
func (w *watchdog) stop()  { w.timer.Stop() }

// uploaded is the body of a request; it remembers why reading it failed, unless that
// was because reading was given up here (io.ErrClosedPipe).
type uploaded struct {
	io.ReadCloser
	progress func()

	mu  sync.Mutex
	err error // guarded by mu
}

func (u *uploaded) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	u.progress()
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrClosedPipe) {
		u.mu.Lock()
		u.err = err
		u.mu.Unlock()
	}
	return n, err
}

func (u *uploaded) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// download is the body of an answer; closing it ends the exchange.
type download struct {
	io.ReadCloser
	progress func()
	once     sync.Once
	end      func()
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.progress()
	return n, err
}

func (d *download) Close() error {
	defer d.once.Do(d.end)
	return d.ReadCloser.Close()
}
