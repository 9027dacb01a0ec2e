package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"pollbridge/session"

	"github.com/dgraph-io/ristretto/v2"
)

// Poller asks the upstream once. It returns within bounded time whatever becomes of
// ctx, and decides itself when not to ask. An error that has a method NotSent which
// says true means that the upstream was not asked.
type Poller interface {
	Poll(ctx context.Context, v *session.Variant) (*session.Observation, error)
}

// Options is what Statuses needs besides its configuration.
type Options struct {
	Poller Poller
	Finals Finals
	Log    *slog.Logger
	// Observe is told of each new observation before anybody is answered with it, and
	// of final ones that Finals gave back, of which it may have been told before. Who
	// asked waits for it. Nil means that nobody wants to know.
	Observe func(*session.Variant, *session.Observation)
	// Kept is told whether Finals could keep an observation, each time. Nil means
	// that nobody wants to know.
	Kept func(error)
}

// Statuses answers what the state of a session is. It is safe for concurrent use.
// Create it with New.
type Statuses struct {
	cfg     Config
	options Options

	store  *ristretto.Cache[[]byte, *record]
	seed   maphash.Seed
	shards [shardCount]shard

	flights  sync.WaitGroup
	sweeping sync.WaitGroup
	quit     chan struct{}
}

// impatience is how long a client waits for news when there is a pending answer
// that it could have instead: an upstream that hangs then does not make clients give
// up. The request goes on, and its answer is there for the next one who asks.
const impatience = 2 * time.Second

// New returns an empty cache. The caller must Close it.
func New(cfg Config, o Options) (*Statuses, error) {
	store, err := ristretto.NewCache(&ristretto.Config[[]byte, *record]{
		NumCounters:        counters(cfg.MaxSize),
		MaxCost:            int64(cfg.MaxSize),
		BufferItems:        1024, // of reads, before they are told to the policy: telling wakes a goroutine up
		IgnoreInternalCost: true, // record.cost counts it
		Metrics:            true,
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	s := &Statuses{cfg: cfg, options: o, store: store, seed: maphash.MakeSeed(), quit: make(chan struct{})}
	for i := range s.shards {
		s.shards[i].slots = map[string]*slot{}
	}
	s.sweeping.Go(s.sweepUntilQuit)
	return s, nil
}

// counters is how many of its small counters ristretto gets: about five for each
// record that fits, but no more than ten million records need. It asks for ten; with
// half of that it guesses popularity a little worse, and saves 30 MB at the default
// size.
func counters(size Size) int64 {
	return min(50_000_000, max(10_000, 4*int64(size)/(recordOverhead+observationOverhead)))
}

// Close waits for the flights and frees the memory. Nobody may ask any more.
func (s *Statuses) Close() {
	s.flights.Wait()
	close(s.quit)
	s.sweeping.Wait()
	s.store.Close()
}

// Fresh answers from memory if there is a fresh observation for the question with
// this key, in this locale. It takes no lock that other keys share and allocates
// nothing, which makes it the way to try first. It does not keep key.
func (s *Statuses) Fresh(key []byte, locale int) (Result, bool) {
	return s.fresh(s.remembered(key), locale)
}

func (s *Statuses) fresh(known *record, locale int) (Result, bool) {
	o := known.serving(locale)
	if o == nil {
		return Result{}, false
	}
	now := time.Now()
	left := known.left(s.cfg, o, now)
	return Result{Observation: o, Made: now, How: Hit, TTL: left}, left > 0
}

// remembered is what ristretto holds for a key. The key is compared in full:
// ristretto compares hashes only, and a hash is no identity.
func (s *Statuses) remembered(key []byte) *record {
	known, ok := s.store.Get(key)
	if !ok || known.key != string(key) {
		return nil
	}
	return known
}

// Get answers what v asks for: from memory while that is fresh, else by asking the
// upstream, together with everybody else who asks the same. It waits no longer than
// ctx, and the error is then its cause; a ctx that ends disturbs nobody else.
//
// While the upstream gives no answer, the last pending observation is given instead.
// Where there is none, the error is the poller's.
func (s *Statuses) Get(ctx context.Context, v *session.Variant) (Result, error) {
	expired := false
	for {
		seat := s.sit(v)
		if result, ok := s.fresh(seat.known, v.Locale); ok {
			return result, nil
		}
		expired = expired || seat.known.serving(v.Locale) != nil
		if seat.flight == nil {
			return s.insteadOfNews(seat.known, v.Locale, seat.err)
		}
		if err := seat.flight.wait(ctx, s.patience(seat.known, v.Locale)); err != nil {
			if errors.Is(err, errImpatient) {
				return s.insteadOfNews(seat.known, v.Locale, err)
			}
			return Result{}, err
		}
		if result, ok := s.landed(seat, v.Locale); ok {
			result.Expired = expired
			return result, nil
		}
		if seat.flight.err != nil {
			return s.insteadOfNews(seat.flight.known, v.Locale, seat.flight.err)
		}
		// The flight brought a text for people in another locale: ask for ours.
	}
}

// Known answers with what is known, without asking anybody: fresh, or pending and no
// older than may be served while the upstream fails. It reports false if there is
// nothing of that.
func (s *Statuses) Known(v *session.Variant) (Result, bool) {
	shard := s.shard(v.Key())
	shard.mu.Lock()
	place, busy := shard.slots[v.Key()]
	var known *record
	err := error(errImpatient)
	if busy {
		known, err = place.known, cmp.Or(place.err, err)
	}
	shard.mu.Unlock()
	if known == nil {
		known = s.remembered([]byte(v.Key()))
	}
	if result, ok := s.fresh(known, v.Locale); ok {
		return result, true
	}
	result, err := s.insteadOfNews(known, v.Locale, err)
	return result, err == nil
}

// landed is what a flight that brought something means for a locale.
func (s *Statuses) landed(seat seat, locale int) (Result, bool) {
	if seat.flight.err != nil {
		return Result{}, false
	}
	known := seat.flight.known
	o := known.serving(locale)
	if o == nil {
		return Result{}, false
	}
	now := time.Now()
	left := known.left(s.cfg, o, now)
	// What a flight brought counts as fresh for those who waited for it, even if it
	// may not be kept.
	return Result{Observation: o, Made: now, How: seat.how(), TTL: left}, left > 0 || o == known.newest || seat.flight.locale == locale
}

// patience is how long a waiter waits for a flight; 0 means as long as it takes.
func (s *Statuses) patience(known *record, locale int) time.Duration {
	if o := known.serving(locale); s.cfg.mayServeStale(o, time.Now().Add(impatience)) {
		return impatience
	}
	return 0
}

// insteadOfNews answers when the upstream gave no answer.
func (s *Statuses) insteadOfNews(known *record, locale int, err error) (Result, error) {
	now := time.Now()
	if o := known.serving(locale); s.cfg.mayServeStale(o, now) {
		return Result{Observation: o, Made: now, How: Stale, TTL: known.left(s.cfg, o, now), Err: err}, nil
	}
	if o := known.final(); o != nil && known.left(s.cfg, o, now) > 0 {
		// Better in the other language than not at all.
		return Result{Observation: o, Made: now, How: Hit, TTL: known.left(s.cfg, o, now)}, nil
	}
	return Result{}, err
}

// Size returns how many answers are held in memory, and about how many bytes of it
// they take.
func (s *Statuses) Size() (entries, bytes int64) {
	m := s.store.Metrics
	return int64(m.KeysAdded() - m.KeysEvicted()), int64(s.cfg.MaxSize) - s.store.RemainingCost()
}

// remember gives a record to ristretto, for as long as it may be of use.
func (s *Statuses) remember(known *record) {
	key := []byte(known.key)
	left := known.useful(s.cfg, time.Now())
	if left <= 0 || known.newest.State.Final() {
		// An older record may still be on its way into ristretto, which then keeps
		// that one and refuses this. A deletion comes after it in any case.
		s.store.Del(key)
	}
	if left > 0 { // ristretto takes 0 for ever
		s.store.SetWithTTL(key, known, known.cost(), left)
	}
}
