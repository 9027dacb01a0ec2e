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

	"pollbridge/internal/patience"
	"pollbridge/internal/period"
	"pollbridge/session"
	"pollbridge/tracing"

	"github.com/dgraph-io/ristretto/v2"
)

// Poller asks the upstream once. It returns within bounded time whatever becomes of
// ctx, and decides itself when not to ask. An error may have three methods: NotSent says
// true if the upstream was not asked, Soon if it may well be asked in a moment, Answered
// if it answered something that is no observation, but that clients are told. With an error
// there may be an observation, made before, that can be given instead while that may be.
//
// What is marked as made elsewhere is not kept here.
type Poller interface {
	Poll(ctx context.Context, v *session.Variant, o session.PollOptions) (*session.Observation, error)
}

// Options is what Statuses needs besides its configuration.
type Options struct {
	Poller Poller
	Finals Finals
	// Unkept holds what Finals could not keep, for others who look for it. Nil: for nobody.
	Unkept *Unkept
	// Patience is how long Finals is waited for. Nil: nobody else waits for the same store.
	Patience *patience.Patience
	Log      *slog.Logger
	// Retain is how long after it was made a final observation is served; then the
	// upstream is asked again. 0 sets no bound.
	Retain time.Duration
	// Observe is told of each new observation before anybody is answered with it, and
	// of final ones that Finals gave back, of which it may have been told before. Who
	// asked waits for it. Nil means that nobody wants to know.
	Observe func(*session.Variant, *session.Observation)
	// Fresh is for how long a pending observation serves before the upstream is asked again, 0 for
	// as long as Config says. It is asked once for each, when Observe has returned. Nil: it is 0.
	Fresh func(*session.Variant, *session.Observation) time.Duration
	// Coverage is a number that grows whenever somebody wants to know of sessions of whom nobody did
	// before: a pending observation that was made until then is once more given to Observe, before
	// anybody else is answered with it. It must not block. Nil: it never grows.
	Coverage func() uint64
	// Kept is told whether Finals could keep an observation, and if not, once it could
	// after all. Nil means that nobody wants to know.
	Kept func(error)
	// Pending returns what the upstream last said about v of which the store knows, pending, or
	// nil. It is asked where memory has nothing: after a restart that is served while the
	// upstream fails, as if it had been said then. Nil means that there never is anything.
	Pending func(v *session.Variant) *session.Observation
	// Tracer makes the spans of polls. Who asks is the span in its context. Nil: there are none.
	Tracer *tracing.Tracer
}

// Statuses answers what the state of a session is. It is safe for concurrent use.
// Create it with New.
type Statuses struct {
	cfg     Config
	options Options
	began   time.Time

	store   *ristretto.Cache[[]byte, *record]
	seed    maphash.Seed
	shards  [shardCount]shard
	origins *origins

	siblings *siblings
	unkept   *Unkept
	patience *patience.Patience

	flights  sync.WaitGroup
	sweeping sync.WaitGroup
	quit     chan struct{}
}

// newsTimeout is how long a client waits for news when there is a pending answer that
// it could have instead: an upstream that hangs then does not make clients give up. The
// request goes on, and its answer is there for the next one who asks.
const newsTimeout = 2 * time.Second

// soonAgain is how long is waited before a poll that could not be made is tried again.
const soonAgain = 100 * time.Millisecond

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
	s := &Statuses{cfg: cfg, options: o, began: time.Now(), store: store, seed: maphash.MakeSeed(), origins: newOrigins(), siblings: newSiblings(), unkept: cmp.Or(o.Unkept, &Unkept{}), patience: cmp.Or(o.Patience, &patience.Patience{}), quit: make(chan struct{})}
	for i := range s.shards {
		s.shards[i].slots = map[string]*slot{}
	}
	s.sweeping.Go(s.sweepUntilQuit)
	s.sweeping.Go(s.keepAgainUntilQuit)
	return s, nil
}

// counters is how many of its small counters ristretto gets: about five for each
// record that fits, but no more than ten million records need. It asks for ten; with
// half of that it guesses popularity a little worse, and saves 30 MB at the default
// size.
func counters(size Size) int64 {
	return min(50_000_000, max(10_000, 4*int64(size)/(recordOverhead+observationOverhead)))
}

// Wait waits for the polls under way, for a final answer may come. No client may ask any more.
func (s *Statuses) Wait() { s.flights.Wait() }

// Close does so, too, and frees the memory. Nobody may ask any more.
func (s *Statuses) Close() {
	s.Wait()
	close(s.quit)
	s.sweeping.Wait()
	s.store.Close()
}

// Fresh answers from memory if there is a fresh observation for the question with
// this key, in this locale. It takes no lock that other keys share, unless the answer is
// not_found, and allocates nothing, which makes it the way to try first. It does not keep key.
func (s *Statuses) Fresh(key []byte, locale int) (Result, bool) {
	return s.fresh(s.remembered(key), locale)
}

func (s *Statuses) fresh(known *record, locale int) (Result, bool) {
	result, ok := s.inWindow(known, locale)
	return result, ok && s.covered(known, result)
}

// inWindow is fresh, whether Observe has to be told again or not.
func (s *Statuses) inWindow(known *record, locale int) (Result, bool) {
	o := known.serving(locale)
	if o == nil {
		return Result{}, false
	}
	result := s.result(known, o, Hit)
	if o.State == session.NotFound && result.TTL > 0 && !refuses(o) {
		// Another variant may have got the answer since.
		if final := s.siblings.recent(session.SessionKey(known.key)); final != nil {
			result.Observation, result.OtherVariant = final, true
		}
	}
	return result, result.TTL > 0
}

// result is an answer with an observation of a record.
func (s *Statuses) result(known *record, o *session.Observation, how How) Result {
	now := time.Now()
	return Result{Observation: o, Made: now, How: how, TTL: s.left(known, o, now), OtherVariant: o == known.other}
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
// Where there is none, the error is the poller's; everybody who asks within a window is
// told the same.
func (s *Statuses) Get(ctx context.Context, v *session.Variant) (Result, error) {
	return s.get(ctx, v, asker{})
}

// GetFor is Get for the page of an origin. If the upstream was not asked for that origin
// of late, the next poll is made for it, and GetFor waits for that: then [Statuses.CORS]
// knows what the page may read. It gives up after a few windows. An empty origin is none.
func (s *Statuses) GetFor(ctx context.Context, v *session.Variant, origin string) (Result, error) {
	return s.get(ctx, v, asker{origin: origin})
}

// Refresh is Get for a watch: the poll gives way to those of clients. A pending observation that
// was made no later than after is not enough, however fresh it is.
func (s *Statuses) Refresh(ctx context.Context, v *session.Variant, after time.Time) (Result, error) {
	return s.get(ctx, v, asker{watch: true, after: after})
}

// Renew is Refresh for a session that another process looks after: a pending observation that was
// made there is not enough, however fresh it is, for that one may be asked again sooner than it said.
func (s *Statuses) Renew(ctx context.Context, v *session.Variant) (Result, error) {
	return s.get(ctx, v, asker{watch: true, renews: true})
}

func (s *Statuses) get(ctx context.Context, v *session.Variant, a asker) (result Result, err error) {
	asked, expired := false, false
	a.span = tracing.In(ctx)
	began := time.Now()
	defer func() {
		result.Asked = asked
		result.Expired = asked && expired
	}()
	for {
		a.learned = a.learned || time.Since(began) > originWindows*s.cfg.PendingTTL || s.learnedOf(v, a.origin)
		found := s.look(v, a)
		if found.fresh {
			if !a.learned {
				s.learn(ctx, v, a.origin)
			}
			return found.result, nil
		}
		expired = expired || found.known.serving(v.Locale) != nil
		switch {
		case found.wait > 0:
			if result, ok := s.stale(found.known, v.Locale, found.err); ok && found.err != nil {
				return result, nil
			}
			if err := period.Pause(ctx, found.wait); err != nil {
				return Result{}, err
			}
			continue
		case found.flight == nil:
			return s.insteadOfNews(found.known, v.Locale, found.err)
		}
		if err := found.flight.wait(ctx, s.waitFor(found.known, v.Locale)); err != nil {
			asked = true
			if errors.Is(err, errNoAnswerYet) {
				return s.insteadOfNews(found.known, v.Locale, err)
			}
			return Result{}, err
		}
		asked = asked || found.flight.asked()
		ended := failure{err: found.flight.err, origin: found.flight.origin}
		if errors.Is(ended.err, errErased) && !a.watch {
			continue
		}
		if ended.err != nil && ended.concerns(a.origin) {
			result, err := s.insteadOfNews(found.flight.known, v.Locale, ended.err)
			if err != nil {
				result.How = found.how()
			}
			if err == nil || !soon(err) || time.Since(began) >= newsTimeout || period.Pause(ctx, soonAgain) != nil {
				return result, err
			}
			continue // nobody is told that a signing failed because others are being tried
		}
		if result, ok := s.landed(found, v.Locale); ok && (a.learned || s.learnedOf(v, a.origin)) && !found.flight.tooOld(result, a.after) {
			return result, nil
		}
		// The flight brought a text for people in another locale, or was for another
		// origin, or brought nothing new: ask for ours.
	}
}

// learnedOf reports whether there is nothing to be learned about an origin: there is none,
// or the upstream was asked for it of late.
func (s *Statuses) learnedOf(v *session.Variant, origin string) bool {
	if origin == "" {
		return true
	}
	_, known := s.CORS(v, origin)
	return known
}

// Known answers with what is known, without asking anybody: fresh, or pending and no
// older than may be served while the upstream fails. It reports false if there is
// nothing of that.
func (s *Statuses) Known(v *session.Variant) (Result, bool) {
	shard := s.shard(v.Key())
	shard.mu.Lock()
	slot := s.slotLocked(shard, v)
	known, reason := slot.known, cmp.Or(slot.last.err, errNoAnswerYet)
	shard.mu.Unlock()
	if result, ok := s.inWindow(known, v.Locale); ok {
		return result, true
	}
	result, err := s.insteadOfNews(known, v.Locale, reason)
	return result, err == nil
}

// landed is what a flight that brought something means for a locale.
func (s *Statuses) landed(l lookup, locale int) (Result, bool) {
	known := l.flight.known
	o := known.serving(locale)
	if l.flight.err != nil || o == nil {
		return Result{}, false
	}
	result := s.result(known, o, l.how())
	// What a flight brought counts as fresh for those who waited for it, even if it
	// may not be kept.
	return result, result.TTL > 0 || o == known.newest || l.flight.locale == locale
}

// waitFor is how long a flight is waited for; 0 means as long as it takes.
func (s *Statuses) waitFor(known *record, locale int) time.Duration {
	if o := known.serving(locale); s.cfg.mayServeStale(o, time.Now().Add(newsTimeout)) {
		return newsTimeout
	}
	return 0
}

// insteadOfNews answers when the upstream gave no answer.
func (s *Statuses) insteadOfNews(known *record, locale int, err error) (Result, error) {
	if result, ok := s.stale(known, locale, err); ok {
		return result, nil
	}
	now := time.Now()
	if known != nil && known.other != nil && s.leftOfFinal(known.other, now) > 0 {
		return Result{Observation: known.other, Made: now, How: Hit, TTL: s.leftOfFinal(known.other, now), OtherVariant: true}, nil
	}
	if o := known.final(); o != nil && s.left(known, o, now) > 0 {
		return s.result(known, o, Hit), nil // better in the other language than not at all
	}
	return Result{}, err
}

// stale is the last pending answer, if it may be given although it is not fresh.
func (s *Statuses) stale(known *record, locale int, err error) (Result, bool) {
	o := known.serving(locale)
	if o == nil && known != nil {
		o = known.newest // better in the other language than not at all
	}
	if !s.cfg.mayServeStale(o, time.Now()) {
		return Result{}, false
	}
	result := s.result(known, o, Stale)
	result.Err = err
	return result, true
}

// Learn takes an observation of v that another process has made, as if it was made here. It is
// kept, unless it is marked as made elsewhere.
func (s *Statuses) Learn(v *session.Variant, o *session.Observation) {
	if o.State.Final() && !o.Elsewhere {
		s.keep(v, o)
	}
	coverage := s.coverage()
	s.observed(v, o)
	shard := s.shard(v.Key())
	shard.mu.Lock()
	defer shard.mu.Unlock()
	slot := s.slotLocked(shard, v)
	if o.State.Final() { // the first one decides, however late it is heard of
		slot.known = slot.known.with(v.Key(), o)
	} else {
		slot.known = slot.known.orOlder(v.Key(), o).since(slot.known, coverage)
	}
	s.remember(slot.known)
	shard.slots[v.Key()] = slot // until ristretto was seen to hold it
}

// Erase forgets what is known about v's question, in all locales; what Finals has is
// not its business. What a request brings that is under way, whatever its question about the
// session, is kept and told of when Erase returns, or never.
func (s *Statuses) Erase(v *session.Variant) {
	ofSession := func(key string) bool { return session.SessionKey(key) == session.SessionKey(v.Key()) }
	s.siblings.forget(ofSession)
	s.unkept.forget(ofSession)
	s.eraseKey(v.Key())
}

func (s *Statuses) eraseKey(key string) {
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if slot, busy := shard.slots[key]; busy {
		slot.known = nil
		if slot.flight == nil {
			delete(shard.slots, key)
		}
	}
	// The record may still be on its way into ristretto, and be there for a moment before
	// it is deleted. Under the lock: nobody may find it in that moment and keep it.
	s.store.Del([]byte(key))
	s.store.Wait()
}

// EraseThose is Erase for all questions about sessions of which erased says so, whatever was asked.
// It is told their keys, and looks at everything that is known: this is for what happens rarely.
func (s *Statuses) EraseThose(erased func(key string) bool) {
	s.siblings.forget(erased)
	s.unkept.forget(erased)
	var keys []string
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for key := range shard.slots {
			keys = append(keys, key)
		}
		shard.mu.Unlock()
	}
	s.store.Wait()
	s.store.IterValues(func(known *record) (stop bool) {
		keys = append(keys, known.key)
		return false
	})
	for _, key := range keys {
		if erased(key) {
			s.eraseKey(key)
		}
	}
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
	left := s.useful(known, time.Now())
	if left <= 0 || known.newest.State.Final() {
		// An older record may still be on its way into ristretto, which then keeps
		// that one and refuses this. A deletion comes after it in any case.
		s.store.Del(key)
	}
	if left > 0 { // ristretto takes 0 for ever
		s.store.SetWithTTL(key, known, known.cost(), left)
	}
}
