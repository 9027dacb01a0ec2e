package watch

import "time"

// Due returns when a session is due; false if it is not watched.
func (w *Watcher) Due(id string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[id]
	if !known {
		return time.Time{}, false
	}
	return e.due, true
}

// AdaptiveWait is what the adaptive schedule says.
func AdaptiveWait(interval, age time.Duration) time.Duration { return adaptive(interval)(age) }

// RetryAfter is how long to wait after failures of the upstream.
func RetryAfter(interval time.Duration, failures int) time.Duration {
	return retryAfter(interval, failures)
}
