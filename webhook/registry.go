package webhook

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"pollbridge/event"
)

// registry holds all subscriptions in memory, indexed so that matching need not look at
// those of all other sessions and accounts.
type registry struct {
	mu    sync.RWMutex
	all   map[string]*subscription            // by id; guarded by mu, like all below
	ended map[string]*subscription            // those of all that were deleted, by id
	index map[string]map[string]*subscription // the others by indexKey, then by id
	bound int                                 // how many of the others are bound
	// gone is what was deleted and somebody may still tell of: the watch, until it says that
	// it is gone, and those who write it.
	gone    map[string]deletion
	writers map[string]int // how many write it at the moment

	coverage atomic.Uint64 // how often subscriptions came to cover sessions that they had not
}

// deletion says that all forms up to a revision are gone.
type deletion struct {
	revision uint64
	watched  bool // the watch says so
}

func newRegistry() *registry {
	return &registry{all: map[string]*subscription{}, ended: map[string]*subscription{}, index: map[string]map[string]*subscription{}, gone: map[string]deletion{}, writers: map[string]int{}}
}

// indexKey is the one session or account whose events are all that it listens to, or
// empty.
func (sub *subscription) indexKey() string {
	if !sub.listens() || slices.Contains(sub.Events, event.TypeFailing) || slices.Contains(sub.Events, event.TypeDisabled) {
		return ""
	}
	return cmp.Or(sub.Session, sub.Account)
}

// put takes in a subscription unless a newer form of it is known. Whoever wrote it
// and whoever watches the bucket both tell, in any order.
func (r *registry) put(sub *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if gone, was := r.gone[sub.ID]; was && gone.revision >= sub.revision {
		return
	}
	old := r.all[sub.ID]
	if old != nil {
		if old.revision >= sub.revision {
			return
		}
		r.unlinkLocked(old)
	}
	delete(r.gone, sub.ID) // it was made again, and the watch may tell of that only
	r.all[sub.ID] = sub
	if sub.Ended > 0 {
		r.ended[sub.ID] = sub
		return
	}
	if sub.Bound {
		r.bound++
	}
	key := sub.indexKey()
	if r.index[key] == nil {
		r.index[key] = map[string]*subscription{}
	}
	r.index[key][sub.ID] = sub
	if sub.coversMoreThan(old) {
		r.coverage.Add(1) // after it can be found: who sees that it grew finds it
	}
}

// remove forgets a subscription that was deleted; revision is at least that of every
// form of it that anybody may still tell of. watched means that the watch says so: it
// tells of no earlier form any more.
func (r *registry) remove(id string, revision uint64, watched bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.all[id]
	held := old != nil && old.revision <= revision
	if held {
		r.unlinkLocked(old)
	}
	switch {
	case watched && r.writers[id] == 0:
		delete(r.gone, id)
	case watched, held: // if it was not held, the watch was first, or tells of it and then of its end
		r.gone[id] = deletion{max(revision, r.gone[id].revision), watched}
	}
}

// writing is called before a subscription is written, and over after it was put, so that
// one which is deleted between the two does not come back.
func (r *registry) writing(id string) (over func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writers[id]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.writers[id]--; r.writers[id] > 0 {
			return
		}
		delete(r.writers, id)
		if r.gone[id].watched {
			delete(r.gone, id)
		}
	}
}

func (r *registry) unlinkLocked(sub *subscription) {
	delete(r.all, sub.ID)
	if sub.Ended > 0 {
		delete(r.ended, sub.ID)
		return
	}
	if sub.Bound {
		r.bound--
	}
	key := sub.indexKey()
	delete(r.index[key], sub.ID)
	if len(r.index[key]) == 0 {
		delete(r.index, key)
	}
}

func (r *registry) get(id string) *subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if sub := r.all[id]; sub != nil && sub.Ended == 0 {
		return sub
	}
	return nil
}

// matching returns the enabled subscriptions that cover an event, with those that were deleted
// after it.
func (r *registry) matching(e *event.Event) (found []*subscription) {
	for sub := range r.about(e.About()) {
		if sub.DisabledReason == "" && sub.covers(e) {
			found = append(found, sub)
		}
	}
	for _, sub := range r.deleted() {
		if e.Position < sub.Ended && sub.DisabledReason == "" && sub.covers(e) {
			found = append(found, sub)
		}
	}
	return found
}

// deleted returns the subscriptions that were, and leave something.
func (r *registry) deleted() []*subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Values(r.ended))
}

// wanted reports whether a subscription covers events of a session. One that is disabled
// does: what it misses can be recovered.
func (r *registry) wanted(s event.Subject) bool {
	for sub := range r.about(s) {
		if sub.listens() && sub.coversSubject(s) {
			return true
		}
	}
	return false
}

// about yields the subscriptions that may cover a subject.
func (r *registry) about(s event.Subject) iter.Seq[*subscription] {
	return func(yield func(*subscription) bool) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		for _, key := range slices.Compact([]string{s.Session, s.Account, ""}) {
			for _, sub := range r.index[key] {
				if !yield(sub) {
					return
				}
			}
		}
	}
}

// boundTo returns the subscriptions that were attached to a session, and how many are
// attached to any.
func (r *registry) boundTo(sessionID string) (found []*subscription, all int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, sub := range r.index[sessionID] {
		if sub.Bound {
			found = append(found, sub)
		}
	}
	return found, r.bound
}

// list returns all subscriptions that are not bound, the newest first.
func (r *registry) list() (found []*subscription) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, sub := range r.all {
		if !sub.Bound && sub.Ended == 0 {
			found = append(found, sub)
		}
	}
	slices.SortFunc(found, func(a, b *subscription) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
	})
	return found
}
