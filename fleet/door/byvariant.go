package door

import (
	"maps"
	"slices"
	"sync"

	"pollbridge/session"
)

// mostSeen is of how many variants something is held at a time.
const mostSeen = 10_000

// about is something about a variant.
type about interface {
	comparable
	of() *session.Variant
}

// byVariant holds something about each of a number of variants, until that is over. It is safe for
// concurrent use, and its zero value is empty.
type byVariant[T about] struct {
	mu  sync.Mutex
	all map[string]T // guarded by mu; by the key of the variant
}

// put holds what f makes of what is held about v's variant, if anything is. It returns false where there is
// no room.
func (b *byVariant[T]) put(v *session.Variant, f func(known T, is bool) T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, is := b.all[v.Key()]
	if !is && len(b.all) >= mostSeen {
		return false
	}
	if b.all == nil {
		b.all = map[string]T{}
	}
	b.all[v.Key()] = f(known, is)
	return true
}

// change is put where something is held.
func (b *byVariant[T]) change(v *session.Variant, f func(known T) T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, is := b.all[v.Key()]; is {
		b.all[v.Key()] = f(known)
	}
}

// forget forgets sessions that were erased.
func (b *byVariant[T]) forget(erased func(*session.Variant) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.all, func(_ string, each T) bool { return erased(each.of()) })
}

func (b *byVariant[T]) list() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.all))
}

// over forgets one, and returns false if it has changed since it was listed.
func (b *byVariant[T]) over(each T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := each.of().Key()
	known, left := b.all[key]
	if left && known != each {
		return false
	}
	delete(b.all, key)
	return true
}
