package upstream

import (
	"maps"
	"sync"
	"time"
)

// tally counts, for the circuit breaker, how the sessions of the last window fare: each
// by its latest outcome, so that none weighs more than another however often it is
// polled. A connection that could not be made is nobody's doing and counts each time.
// Of very many outcomes some count.
type tally struct {
	cfg BreakerConfig

	mu       sync.Mutex
	outcomes map[outcomeKey]latest // guarded by mu, as all below
	connects uint64                // connections that could not be made
}

// outcomeKey is a session, or a connection that could not be made.
type outcomeKey struct{ session, connect uint64 }

type latest struct {
	at      time.Time
	verdict verdict // nothing while the first poll is under way
}

const (
	tallyMost    = 1000
	leastCounted = 3 // before the breaker opens
)

func newTally(cfg BreakerConfig) *tally {
	return &tally{cfg: cfg, outcomes: map[outcomeKey]latest{}}
}

// anew returns a tally that knows which sessions live, and nothing of how they fare.
func (t *tally) anew() *tally {
	next := newTally(t.cfg)
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, o := range t.outcomes {
		if key.connect == 0 {
			next.outcomes[key] = latest{o.at, nothing}
		}
	}
	return next
}

// note tells of the outcome of a poll, or with nothing that one is about to be sent.
func (t *tally) note(session uint64, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := outcomeKey{session: session}
	if known, ok := t.outcomes[key]; ok && v == nothing && time.Since(known.at) <= t.cfg.Window {
		return
	}
	delete(t.outcomes, key)
	if v == unreachable {
		t.connects++
		key = outcomeKey{connect: t.connects}
	}
	if len(t.outcomes) >= tallyMost {
		t.prune(tallyMost * 3 / 4)
	}
	t.outcomes[key] = latest{time.Now(), v}
}

// prune drops what is out of the window, and more than so many, whichever. It must be
// called with mu held.
func (t *tally) prune(most int) {
	maps.DeleteFunc(t.outcomes, func(_ outcomeKey, o latest) bool { return time.Since(o.at) > t.cfg.Window })
	for key := range t.outcomes {
		if len(t.outcomes) <= most {
			return
		}
		delete(t.outcomes, key)
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
	t.prune(tallyMost)
	for _, o := range t.outcomes {
		switch o.verdict {
		case failing, unreachable:
			failures++
			counted++
		case healthy:
			counted++
		}
	}
	return len(t.outcomes), counted, failures
}
