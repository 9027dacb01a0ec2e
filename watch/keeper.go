package watch

import (
	"context"
	"sync"
	"time"

	"pollbridge/session"
)

// Refresh brings the observation of a session up to date. It returns when that
// observation was made, and false if the upstream gave none.
type Refresh func(ctx context.Context, v *session.Variant) (at time.Time, ok bool)

// Keeper keeps the sessions that are held fresh. It is safe for concurrent use.
// Create it with NewKeeper.
type Keeper struct {
	interval time.Duration
	refresh  Refresh

	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup

	mu   sync.Mutex
	held map[string]*held // by the key of the question; guarded by mu, as what it points to
}

type held struct {
	holds  map[*Hold]struct{}
	cancel context.CancelFunc
}

// NewKeeper returns a Keeper that refreshes what is held an interval after its last
// observation. The caller must Close it.
func NewKeeper(interval time.Duration, refresh Refresh) *Keeper {
	k := &Keeper{interval: interval, refresh: refresh, held: map[string]*held{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// Close stops refreshing and waits for what is under way. Holds that are left learn
// of nothing any more.
func (k *Keeper) Close() {
	k.cancel()
	k.loops.Wait()
}

// Hold keeps a session fresh until it is released.
type Hold struct {
	news   chan struct{}
	keeper *Keeper
	key    string
}

// News gets a value when the session was observed in a state other than pending.
// One that is not received stands for all that follow.
func (h *Hold) News() <-chan struct{} { return h.news }

// Release ends the hold. It may be called once.
func (h *Hold) Release() {
	k := h.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	entry := k.held[h.key]
	delete(entry.holds, h)
	if len(entry.holds) == 0 {
		entry.cancel()
		delete(k.held, h.key)
	}
}

// Hold begins to keep v's session fresh. The caller must Release the hold.
func (k *Keeper) Hold(v *session.Variant) *Hold {
	hold := &Hold{news: make(chan struct{}, 1), keeper: k, key: v.Key()}
	k.mu.Lock()
	defer k.mu.Unlock()
	entry, ok := k.held[v.Key()]
	if !ok {
		ctx, cancel := context.WithCancel(k.ctx)
		entry = &held{holds: map[*Hold]struct{}{}, cancel: cancel}
		k.held[v.Key()] = entry
		k.loops.Go(func() { k.keepFresh(ctx, v) })
	}
	entry.holds[hold] = struct{}{}
	return hold
}

// Held returns how many sessions are held.
func (k *Keeper) Held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.held)
}

// Observe tells those who hold v's session what was observed. It does not block.
func (k *Keeper) Observe(v *session.Variant, o *session.Observation) {
	if o.State == session.Pending {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	entry, ok := k.held[v.Key()]
	if !ok {
		return
	}
	for hold := range entry.holds {
		select {
		case hold.news <- struct{}{}:
		default:
		}
	}
}

// keepFresh refreshes one session until ctx ends.
func (k *Keeper) keepFresh(ctx context.Context, v *session.Variant) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := k.interval
		if at, ok := k.refresh(ctx, v); ok {
			// The minimum is for observations that stay fresh for longer than an
			// interval: there is nothing to be had earlier, so do not spin.
			wait = max(k.interval/10, time.Until(at.Add(k.interval)))
		}
		timer.Reset(wait)
	}
}
