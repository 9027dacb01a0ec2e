package upstream

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"pollbridge/internal/retryafter"
)

// holds remembers whose polls the upstream does not want for a while: by the
// Retry-After of a 429 those of a credential, of a 503 those of a session, and once
// three sessions were told so within ten seconds, all.
type holds struct {
	mu     sync.Mutex
	until  map[uint64]time.Time // guarded by mu, as all below; by session or credential
	all    time.Time
	latest []toldSession // the last three that a 503 has told to wait
}

type toldSession struct {
	session uint64
	at      time.Time
}

const (
	holdLongest   = time.Minute
	holdMost      = 10_000 // sessions and credentials; of more, all are forgotten
	holdAllAfter  = 3
	holdAllWithin = 10 * time.Second
)

// told is what an answer to a poll has said.
func (h *holds) told(who caller, status int, retryAfter time.Duration) {
	if retryAfter <= 0 {
		return
	}
	now := time.Now()
	until := now.Add(min(retryAfter, holdLongest))
	h.mu.Lock()
	defer h.mu.Unlock()
	switch status {
	case http.StatusTooManyRequests:
		h.hold(who.credential, now, until)
	case http.StatusServiceUnavailable:
		h.hold(who.session, now, until)
		h.latest = slices.DeleteFunc(h.latest, func(s toldSession) bool {
			return s.session == who.session || now.Sub(s.at) > holdAllWithin
		})
		h.latest = append(h.latest, toldSession{who.session, now})
		if len(h.latest) >= holdAllAfter {
			h.latest = slices.Delete(h.latest, 0, len(h.latest)-holdAllAfter)
			h.all = until
		}
	}
}

// hold must be called with mu held.
func (h *holds) hold(key uint64, now, until time.Time) {
	if len(h.until) >= holdMost {
		maps.DeleteFunc(h.until, func(_ uint64, end time.Time) bool { return end.Before(now) })
		if len(h.until) > holdMost/2 {
			clear(h.until)
		}
	}
	if h.until == nil {
		h.until = map[uint64]time.Time{}
	}
	h.until[key] = until
}

// left is how long the upstream wants no polls of a caller from now on.
func (h *holds) left(who caller) time.Duration {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	left := h.all.Sub(now)
	for _, key := range []uint64{who.session, who.credential} {
		until := h.until[key]
		left = max(left, until.Sub(now))
		if !now.Before(until) {
			delete(h.until, key)
		}
	}
	return left
}

// check returns the failure of a poll that the upstream does not want yet.
func (h *holds) check(who caller) error {
	if left := h.left(who); left > 0 {
		return notSent(HeldBack, left, nil)
	}
	return nil
}

// retryAfter reads the field of a 429 or a 503. It is 0 without one.
func retryAfter(response *fasthttp.Response) time.Duration {
	if status := response.StatusCode(); status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0
	}
	now := time.Now()
	// The upstream's own clock says when that is.
	if date, err := http.ParseTime(string(response.Header.Peek(fasthttp.HeaderDate))); err == nil {
		now = date
	}
	return retryafter.Read(string(response.Header.Peek(fasthttp.HeaderRetryAfter)), now)
}
