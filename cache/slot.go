package cache

import (
	"cmp"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"pollbridge/session"
	"pollbridge/tracing"
)

const shardCount = 64

// shard holds the slots of some of the questions.
type shard struct {
	mu    sync.Mutex
	slots map[string]*slot // guarded by mu, as what it points to
}

// slot is for one question while it is busy: while a flight is under way, and after that
// until its window has passed and ristretto was seen to hold what it brought. It is what
// makes the promises hold when ristretto drops something.
type slot struct {
	flight *flight // nil when none is under way
	known  *record // nil when nothing is known
	last   failure // of the last flight
	origin string  // that waits for a poll, so the next one is made for it
}

// failure is why a flight brought nothing.
type failure struct {
	err    error // nil: it brought something
	at     time.Time
	origin string // for which the upstream was asked
}

// remembered reports whether everybody is told of the failure, and the upstream not
// asked again. What cost the upstream nothing is not remembered.
func (f failure) remembered(window time.Duration) bool {
	return f.err != nil && time.Since(f.at) < window && !unsent(f.err)
}

// unsent reports whether an error says that the upstream was not asked.
func unsent(err error) bool {
	var says interface{ NotSent() bool }
	return errors.As(err, &says) && says.NotSent()
}

// soon reports whether an error says that the upstream may well be asked in a moment.
func soon(err error) bool {
	var says interface{ Soon() bool }
	return errors.As(err, &says) && says.Soon()
}

// concerns reports whether the clients of an origin may be told. The upstream may have
// answered as it did because of the origin, so what it said is for that one only.
func (f failure) concerns(origin string) bool {
	var answered interface{ Answered() bool }
	return f.origin == origin || !errors.As(f.err, &answered) || !answered.Answered()
}

// lookup is what a caller finds about a question.
type lookup struct {
	known   *record
	result  Result        // where fresh
	fresh   bool          // memory is enough
	flight  *flight       // to wait for; nil if there is none
	started bool          // by this caller
	err     error         // why there is no flight though known is not fresh
	wait    time.Duration // until the upstream may be asked for this caller; 0 if there is nothing to wait for
}

func (l lookup) how() How {
	switch {
	case l.flight.loaded:
		return Hit
	case l.started:
		return Miss
	}
	return Collapsed
}

func (s *Statuses) shard(key string) *shard {
	return &s.shards[maphash.String(s.seed, key)%shardCount]
}

// asker is who asks.
type asker struct {
	origin  string    // of the page; empty if there is none
	learned bool      // nothing has to be learned about the origin
	watch   bool      // nobody waits for the answer
	after   time.Time // a pending answer of then, or before, is not enough
	renews  bool      // nor is one that was made elsewhere
	span    *tracing.Span
}

// wantsNewer reports whether an observation is not enough, however fresh it is.
func (a asker) wantsNewer(o *session.Observation) bool {
	return o.State == session.Pending && (!o.At.After(a.after) || a.renews && o.Elsewhere)
}

// look finds out what is known about v's question, and if that is not enough for a,
// joins the flight that is under way or starts one.
func (s *Statuses) look(v *session.Variant, a asker) lookup {
	shard := s.shard(v.Key())
	shard.mu.Lock()
	defer shard.mu.Unlock()
	slot := s.slotLocked(shard, v)
	found := lookup{known: slot.known}
	fresh, isFresh := s.inWindow(slot.known, v.Locale)
	covered := isFresh && s.covered(slot.known, fresh)
	if isFresh && a.wantsNewer(fresh.Observation) {
		isFresh = false
	}
	switch {
	case isFresh && covered && (a.learned || fresh.State.Final()):
		found.result, found.fresh = fresh, true
		return found
	case slot.flight != nil:
	case isFresh && !covered:
		found.started = true
		f := newFlight(v.Locale, slot.known, "")
		f.covers = true
		s.startLocked(v, f, shard, slot, a)
	case isFresh: // the window is over when that is not fresh any more
		found.wait = fresh.TTL
		slot.origin = a.origin
		shard.slots[v.Key()] = slot
		return found
	case slot.last.remembered(s.cfg.PendingTTL) && slot.last.concerns(a.origin):
		found.err = slot.last.err
		return found
	case slot.last.remembered(s.cfg.PendingTTL):
		found.err, found.wait = errNoAnswerYet, s.cfg.PendingTTL-time.Since(slot.last.at)
		return found
	default:
		found.started = true
		s.startLocked(v, newFlight(v.Locale, slot.known, cmp.Or(slot.origin, a.origin)), shard, slot, a)
		slot.origin = ""
	}
	found.flight = slot.flight
	if !a.watch {
		slot.flight.joined()
		slot.flight.clients++
	}
	// Under the lock, or the poll might be over.
	slot.flight.span.Link(a.span.Context())
	a.span.Link(slot.flight.span.Context())
	return found
}

func (s *Statuses) startLocked(v *session.Variant, f *flight, shard *shard, slot *slot, a asker) {
	f.span = s.options.Tracer.Poll(a.span.Context(), v.Endpoint.Name)
	slot.flight = f
	shard.slots[v.Key()] = slot
	s.flights.Go(func() { s.run(v, f, shard, slot) })
}

// slotLocked returns the slot of v's question, or one that is not in the shard yet.
func (s *Statuses) slotLocked(shard *shard, v *session.Variant) *slot {
	if slot, ok := shard.slots[v.Key()]; ok {
		return slot
	}
	// Only now: a slot that went a moment ago has left its record in ristretto, and what
	// ristretto held before that is out of date.
	known := s.remembered([]byte(v.Key()))
	if known == nil {
		known = s.restored(v)
	}
	return &slot{known: known}
}

// restored is what the store knows of v's question, nil if it knows nothing.
func (s *Statuses) restored(v *session.Variant) *record {
	if s.options.Pending == nil {
		return nil
	}
	o := s.options.Pending(v)
	if o == nil {
		return nil
	}
	again := *o
	if again.At.Before(s.began) {
		again.At = s.began
	}
	return &record{key: v.Key(), newest: &again, restored: true}
}
