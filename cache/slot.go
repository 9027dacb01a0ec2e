package cache

import (
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"pollbridge/session"
)

const shardCount = 64

// shard holds the slots of some of the questions.
type shard struct {
	mu    sync.Mutex
	slots map[string]*slot // guarded by mu, as what it points to
}

// slot is the place of one question while it is busy: while a flight is under way,
// and after that until its window has passed and ristretto was seen to hold what it
// brought. It is what makes the promises hold when ristretto drops something.
type slot struct {
	flight *flight // nil when none is under way
	known  *record // nil when nothing is known
	err    error   // of the last flight
	failed time.Time
	unkept bool // what is known is final, but Finals could not keep it
}

// seat is what a client finds when it comes to a slot.
type seat struct {
	known   *record
	flight  *flight // to wait for; nil if known is fresh, or the upstream just failed
	started bool    // by this client
	err     error   // why there is no flight though known is not fresh
}

func (s seat) how() How {
	switch {
	case s.flight.loaded:
		return Hit
	case s.started:
		return Miss
	}
	return Collapsed
}

func (s *Statuses) shard(key string) *shard {
	return &s.shards[maphash.String(s.seed, key)%shardCount]
}

// sit finds out what is known about v's question, and if that is not fresh, joins
// the flight that is under way or starts one.
func (s *Statuses) sit(v *session.Variant) seat {
	shard := s.shard(v.Key())
	shard.mu.Lock()
	defer shard.mu.Unlock()
	place, ok := shard.slots[v.Key()]
	if !ok {
		// Only now: a slot that went a moment ago has left its record in ristretto,
		// and what ristretto held before that is out of date.
		place = &slot{known: s.remembered([]byte(v.Key()))}
	}
	here := seat{known: place.known}
	if _, fresh := s.fresh(place.known, v.Locale); fresh {
		return here
	}
	if place.flight == nil && s.heldDown(place, v.Locale) {
		here.err = place.err
		return here
	}
	if place.flight == nil {
		f := newFlight(v.Locale, place.known)
		place.flight, here.started = f, true
		shard.slots[v.Key()] = place
		s.flights.Go(func() { s.fly(v, f, shard, place) })
	}
	here.flight = place.flight
	return here
}

// heldDown reports whether a question has to wait because the upstream just failed
// to answer it: who can be told "waiting" need not try again at once. Failures that
// cost the upstream nothing hold nobody down.
func (s *Statuses) heldDown(place *slot, locale int) bool {
	now := time.Now()
	if place.err == nil || now.Sub(place.failed) >= s.cfg.PendingTTL {
		return false
	}
	var unsent interface{ NotSent() bool }
	if errors.As(place.err, &unsent) && unsent.NotSent() {
		return false
	}
	return s.cfg.mayServeStale(place.known.serving(locale), now)
}
