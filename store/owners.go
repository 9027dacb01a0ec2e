package store

import (
	"hash/maphash"
	"sync"
	"time"
)

// owners knows who may have bodies. Of a session that is asked about for the first time there is
// hardly ever a final answer, and to ask the server costs a twentieth of that poll. Where other
// processes store bodies, too, it knows nothing.
type owners struct {
	seed   maphash.Seed
	retain time.Duration // after it was kept, a body is given to nobody

	mu          sync.Mutex
	complete    bool                // those of earlier processes are in; guarded by mu, as below
	now, before map[uint64]struct{} // since the beginning of this period of retain, and of the one before
	since       time.Time
}

func newOwners(retain time.Duration) *owners {
	return &owners{seed: maphash.MakeSeed(), retain: retain, now: map[uint64]struct{}{}, since: time.Now()}
}

// add has an owner known before anything of it is stored.
func (o *owners) add(owner string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turnLocked()
	o.now[maphash.String(o.seed, owner)] = struct{}{}
}

// none reports whether an owner has nothing for sure.
func (o *owners) none(owner string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turnLocked()
	hash := maphash.String(o.seed, owner)
	_, now := o.now[hash]
	_, before := o.before[hash]
	return o.complete && !now && !before
}

// completeNow says that all who have something were added.
func (o *owners) completeNow() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.complete = true
}

func (o *owners) turnLocked() {
	if now := time.Now(); now.Sub(o.since) >= o.retain {
		o.now, o.before, o.since = map[uint64]struct{}{}, o.now, now
	}
}
