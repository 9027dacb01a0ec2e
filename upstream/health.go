package upstream

import (
	"sync"
	"time"
)

// health decides how long a poll waits for the first byte of its answer.
//
// Normally that is the configured timeout. While the upstream fails again and
// again, waiting that long would only put off the moment at which its return is
// noticed, so a poll then waits for less, though never for less than four times
// what answers usually take. An upstream that came back slower than that would be
// cut off for good: after a while, every other poll waits the whole timeout again.
type health struct {
	timeout time.Duration
	probe   time.Duration // how long a poll waits at least

	mu       sync.Mutex
	failures int // in a row, guarded by mu, as all below
	since    time.Time
	usual    time.Duration // moving average of how long good answers take
}

const (
	failuresOfAnOutage = 3
	outageWorthHurry   = 2 * time.Minute
)

// patience returns how long the next poll may wait.
func (h *health) patience(now time.Time, probing bool) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !probing && h.failures < failuresOfAnOutage {
		return h.timeout
	}
	if h.failures > 0 && now.Sub(h.since) > outageWorthHurry && h.failures%2 == 0 {
		return h.timeout
	}
	return min(h.timeout, max(h.probe, 4*h.usual))
}

func (h *health) answered(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
	if h.usual == 0 {
		h.usual = took
	}
	h.usual += (took - h.usual) / 8
}

func (h *health) failed(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures == 0 {
		h.since = now
	}
	h.failures++
}
