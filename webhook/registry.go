package webhook

import (
	"slices"
	"sync"
)

// registry holds all subscriptions in memory, each where matching finds it without
// looking at all others: those of a session by that, those of an account by that.
type registry struct {
	mu        sync.RWMutex
	all       map[string]*subscription            // by id; guarded by mu, like all below
	bySession map[string]map[string]*subscription // then by id
	byAccount map[string]map[string]*subscription
	others    map[string]*subscription
	bound     int               // how many of all are bound
	gone      map[string]uint64 // revisions at which ids were deleted, until the watch says so too
}

func newRegistry() *registry {
	return &registry{
		all: map[string]*subscription{}, others: map[string]*subscription{}, gone: map[string]uint64{},
		bySession: map[string]map[string]*subscription{}, byAccount: map[string]map[string]*subscription{},
	}
}

// put takes in a subscription unless a newer form of it is known. Whoever wrote it
// and whoever watches the table both tell, in any order.
func (r *registry) put(sub *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if gone, was := r.gone[sub.ID]; was && gone >= sub.revision {
		return
	}
	if old := r.all[sub.ID]; old != nil {
		if old.revision >= sub.revision {
			return
		}
		r.unlinkLocked(old)
	}
	r.all[sub.ID] = sub
	if sub.Bound {
		r.bound++
	}
	index, key := r.placeLocked(sub)
	if index == nil {
		r.others[sub.ID] = sub
		return
	}
	if index[key] == nil {
		index[key] = map[string]*subscription{}
	}
	index[key][sub.ID] = sub
}

// remove forgets a subscription that was deleted; revision is at least that of every
// form of it that anybody may still tell of.
func (r *registry) remove(id string, revision uint64, told bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.all[id]; old != nil && old.revision <= revision {
		r.unlinkLocked(old)
	}
	if told {
		delete(r.gone, id)
	} else {
		r.gone[id] = revision
	}
}

func (r *registry) unlinkLocked(sub *subscription) {
	if sub.Bound {
		r.bound--
	}
	delete(r.all, sub.ID)
	delete(r.others, sub.ID)
	if index, key := r.placeLocked(sub); index != nil {
		delete(index[key], sub.ID)
		if len(index[key]) == 0 {
			delete(index, key)
		}
	}
}

func (r *registry) placeLocked(sub *subscription) (index map[string]map[string]*subscription, key string) {
	switch {
	case sub.Session != "" && sub.listens() && !sub.listensToOperational():
		return r.bySession, sub.Session
	case sub.Account != "" && sub.listens() && !sub.listensToOperational():
		return r.byAccount, sub.Account
	}
	return nil, ""
}

func (sub *subscription) listensToOperational() bool {
	return slices.Contains(sub.Events, TypeFailing) || slices.Contains(sub.Events, TypeDisabled)
}

func (r *registry) get(id string) *subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all[id]
}

// matching returns the enabled subscriptions that cover an event.
func (r *registry) matching(e *event) []*subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*subscription
	for _, subs := range r.candidatesLocked(Subject{e.subject, e.Endpoint, e.Account}) {
		for _, sub := range subs {
			if sub.Disabled == "" && sub.covers(e) {
				found = append(found, sub)
			}
		}
	}
	return found
}

func (r *registry) wanted(s Subject) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, subs := range r.candidatesLocked(s) {
		for _, sub := range subs {
			if sub.Disabled == "" && sub.listens() && sub.coversSubject(s) {
				return true
			}
		}
	}
	return false
}

func (r *registry) candidatesLocked(s Subject) [3]map[string]*subscription {
	return [3]map[string]*subscription{r.bySession[s.Session], r.byAccount[s.Account], r.others}
}

func (r *registry) boundCount() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.bound
}

// boundTo returns the subscriptions that were attached to a session.
func (r *registry) boundTo(sessionID string) []*subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*subscription
	for _, sub := range r.bySession[sessionID] {
		if sub.Bound {
			found = append(found, sub)
		}
	}
	return found
}

// list returns all subscriptions that are not bound, the newest first.
func (r *registry) list() []*subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*subscription
	for _, sub := range r.all {
		if !sub.Bound {
			found = append(found, sub)
		}
	}
	slices.SortFunc(found, func(a, b *subscription) int {
		if a.Created.Equal(b.Created) {
			return compareText(b.ID, a.ID)
		}
		return b.Created.Compare(a.Created)
	})
	return found
}

func compareText(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// lanes returns the lanes of all subscriptions, each once.
func (r *registry) lanes() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	seen := map[string]bool{}
	for _, sub := range r.all {
		seen[sub.lane] = true
	}
	lanes := make([]string, 0, len(seen))
	for lane := range seen {
		lanes = append(lanes, lane)
	}
	return lanes
}

func (r *registry) count(st *Stats) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, sub := range r.all {
		switch {
		case sub.Bound:
			st.Bound++
		default:
			st.Subscriptions++
			if sub.Disabled != "" {
				st.Disabled++
			}
		}
	}
}
