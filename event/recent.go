package event

import (
	"cmp"
	"sync"
)

// recent remembers the last events that were recorded. A session may have been erased
// since, or have others: of an earlier process, or another one. The zero value is empty.
type recent struct {
	mu   sync.Mutex
	last map[string]*Event // by key; guarded by mu, as below
	size int
}

const mostRecent = 16 << 20 // bytes

func (r *recent) of(key string) *Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.last[key], &Event{Key: key})
}

func (r *recent) put(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || r.size > mostRecent {
		r.last, r.size = map[string]*Event{}, 0 // each saves but a read
	}
	r.last[e.Key] = e
	r.size += len(e.Payload) + 512
}

func (r *recent) drop(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, key)
}
