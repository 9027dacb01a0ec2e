package upstream

import (
	"container/list"
	"sync"
	"time"
)

// tally counts, for the circuit breaker, how the sessions of the last window fare: each
// by its latest outcome, so that none weighs more than another however often it is
// polled. A connection that could not be made is nobody's doing and counts each time.
// Of very many outcomes the latest count.
type tally struct {
	cfg BreakerConfig

	mu       sync.Mutex
	outcomes list.List                // of *sessionOutcome, the oldest first; guarded by mu, as all below
	sessions map[uint64]*list.Element // of outcomes
}

type sessionOutcome struct {
	session uint64
	at      time.Time
	verdict verdict // nothing while the first poll is under way
}

const (
	tallyMost    = 1000
	leastCounted = 3 // before the breaker opens
)

func newTally(cfg BreakerConfig) *tally {
	return &tally{cfg: cfg, sessions: map[uint64]*list.Element{}}
}

// anew returns a tally that knows which sessions live, and nothing of how they fare.
func (t *tally) anew() *tally {
	next := newTally(t.cfg)
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.outcomes.Front(); e != nil; e = e.Next() {
		if o := e.Value.(*sessionOutcome); t.sessions[o.session] == e {
			next.sessions[o.session] = next.outcomes.PushBack(&sessionOutcome{o.session, o.at, nothing})
		}
	}
	return next
}

// note tells of the outcome of a poll, or with nothing that one is about to be sent.
func (t *tally) note(session uint64, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(tallyMost - 1)
	if known := t.sessions[session]; known != nil {
		if v == nothing {
			return
		}
		t.remove(known)
	}
	added := t.outcomes.PushBack(&sessionOutcome{session, time.Now(), v})
	if v != unreachable {
		t.sessions[session] = added
	}
}

// forget drops what is out of the window, and more than so many. It must be called with
// mu held.
func (t *tally) forget(most int) {
	for {
		oldest := t.outcomes.Front()
		if oldest == nil || t.outcomes.Len() <= most && time.Since(oldest.Value.(*sessionOutcome).at) <= t.cfg.Window {
			return
		}
		t.remove(oldest)
	}
}

// remove must be called with mu held.
func (t *tally) remove(e *list.Element) {
	session := t.outcomes.Remove(e).(*sessionOutcome).session
	if t.sessions[session] == e {
		delete(t.sessions, session)
	}
}

// tripped reports whether so many fail that the breaker has to open. One session is
// never enough.
func (t *tally) tripped() bool {
	live, counted, failures := t.count()
	return failures > 1 &&
		counted >= max(leastCounted, min(t.cfg.MinRequests, live)) &&
		float64(failures) >= t.cfg.FailureRatio*float64(counted)
}

// count returns how many outcomes there are, how many of them are known, and how many are
// failures.
func (t *tally) count() (live, counted, failures int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(tallyMost)
	for e := t.outcomes.Front(); e != nil; e = e.Next() {
		switch e.Value.(*sessionOutcome).verdict {
		case failing, unreachable:
			failures++
			counted++
		case healthy:
			counted++
		}
	}
	return t.outcomes.Len(), counted, failures
}
