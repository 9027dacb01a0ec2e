package upstream

import (
	"math/rand/v2"
	"sync"
	"time"
)

// tally counts, for the circuit breaker, how the sessions of the last window fare: each
// by its latest outcome, so that none weighs more than another however often it is
// polled. A connection that could not be made is nobody's doing and counts each time.
//
// It holds no more than a thousand outcomes. Beyond that it looks at a sample: the
// sessions whose keys end in so many zero bits.
type tally struct {
	window      time.Duration
	minRequests int
	ratio       float64

	mu       sync.Mutex
	outcomes map[uint64]outcomeAt // guarded by mu, as all below; by session, or by a random number
	mask     uint64               // of the bits that are zero in the keys of the sample
	looked   time.Time            // when the sample was last found to be large enough
	probe    uint64               // the session of the first probe that failed, if probed
	probed   bool
}

type outcomeAt struct {
	at      time.Time
	verdict verdict // nothing while the first poll is under way
}

const tallyMost = 1000

// leastCounted is how many must be counted before the breaker opens.
const leastCounted = 3

// asked tells of a poll that is about to be sent.
func (t *tally) asked(session uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.outcomes[session]; ok {
		t.put(session, known.verdict)
	} else {
		t.put(session, nothing)
	}
}

// answered tells of its outcome.
func (t *tally) answered(session uint64, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch v {
	case healthy, failing:
		t.put(session, v)
	case unreachable:
		delete(t.outcomes, session)
		if session&t.mask == 0 {
			t.put(rand.Uint64()&^t.mask, v)
		}
	}
}

// put must be called with mu held.
func (t *tally) put(key uint64, v verdict) {
	now := time.Now()
	if t.mask != 0 && now.Sub(t.looked) > t.window/10 {
		t.looked = now
		if t.forget(now); len(t.outcomes) < tallyMost/4 {
			t.mask >>= 1
		}
	}
	if key&t.mask != 0 {
		return
	}
	if t.outcomes == nil {
		t.outcomes = map[uint64]outcomeAt{}
	}
	t.outcomes[key] = outcomeAt{now, v}
	if len(t.outcomes) <= tallyMost {
		return
	}
	if t.forget(now); len(t.outcomes) > tallyMost/2 {
		t.mask = t.mask<<1 | 1
		t.forget(now)
	}
}

// forget drops what is out of the window or of the sample. It must be called with mu
// held.
func (t *tally) forget(now time.Time) {
	for key, outcome := range t.outcomes {
		if key&t.mask != 0 || now.Sub(outcome.at) > t.window {
			delete(t.outcomes, key)
		}
	}
}

// tripped reports whether so many fail that the breaker has to open. One session is
// never enough.
func (t *tally) tripped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(time.Now())
	counted, failures := 0, 0
	for _, outcome := range t.outcomes {
		switch outcome.verdict {
		case failing, unreachable:
			failures++
			counted++
		case healthy:
			counted++
		}
	}
	return failures > 1 &&
		counted >= max(leastCounted, min(t.minRequests, len(t.outcomes))) &&
		float64(failures) >= t.ratio*float64(counted)
}

// probeFailed reports whether the probes of another session have failed, too.
func (t *tally) probeFailed(session uint64) (another bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.probed {
		t.probe, t.probed = session, true
	}
	return t.probe != session
}

// reset forgets everything: what was before a change of the breaker's state says
// nothing about the time after it.
func (t *tally) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.outcomes)
	t.mask, t.probed = 0, false
}
