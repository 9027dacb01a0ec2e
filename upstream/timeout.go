package upstream

import (
	"errors"
	"sync"
	"time"
)

// timeouts decides how long a poll waits for the first byte of its answer.
//
// Normally that is the configured timeout. While the upstream is silent again and
// again, waiting that long would only put off the moment at which its return is
// noticed, so a poll then waits for less, though never for less than four times
// what answers usually take. An upstream that came back slower than that would be
// cut off for good: after a while, every other poll waits the whole timeout again.
// One session that hangs shortens nobody's wait but its own.
type timeouts struct {
	whole time.Duration
	short time.Duration // how long a poll waits at least

	mu      sync.Mutex
	silent  int       // polls in a row that timed out, guarded by mu, as all below
	since   time.Time // the first of them
	session uint64    // of the first of them
	several bool      // they are of several sessions
	usual   time.Duration
}

const (
	silentOfAnOutage = 3
	outageWorthHurry = 2 * time.Minute
)

// next returns how long the next poll of a session may wait.
func (t *timeouts) next(session uint64, now time.Time, probing bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.several || session == t.session
	if !probing && (t.silent < silentOfAnOutage || !own) {
		return t.whole
	}
	if t.silent > 0 && now.Sub(t.since) > outageWorthHurry && t.silent%2 == 0 {
		return t.whole
	}
	return min(t.whole, max(t.short, 4*t.usual))
}

// ended tells how a poll of a session ended, after how long.
func (t *timeouts) ended(session uint64, err error, now time.Time, took time.Duration) {
	failure, _ := errors.AsType[*Failure](err)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.silent, t.several = 0, false
		if t.usual == 0 {
			t.usual = took
		}
		t.usual += (took - t.usual) / 8
	case failure != nil && failure.Reason == Timeout:
		if t.silent == 0 {
			t.since, t.session = now, session
		}
		t.several = t.several || session != t.session
		t.silent++
	case failure != nil && failure.Reason != Connection: // an answer of a kind
		t.silent, t.several = 0, false
	}
}
