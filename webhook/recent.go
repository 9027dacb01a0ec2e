package webhook

import "sync"

// recent remembers what was put into it lately: at least the last things that weigh
// most together, and at most twice as much. It is safe for concurrent use. Create it
// with newRecent.
type recent[V any] struct {
	most int

	mu         sync.Mutex
	young, old map[string]V // guarded by mu, as below
	weight     int          // of young
}

func newRecent[V any](most int) *recent[V] {
	return &recent[V]{most: most, young: map[string]V{}}
}

// put remembers v, in place of what there was for that key.
func (r *recent[V]) put(key string, v V, weight int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.weight += weight; r.weight > r.most {
		r.old, r.young, r.weight = r.young, map[string]V{}, weight
	}
	delete(r.old, key)
	r.young[key] = v
}

// get returns what is remembered, else false.
func (r *recent[V]) get(key string) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.getLocked(key)
}

func (r *recent[V]) getLocked(key string) (V, bool) {
	if v, ok := r.young[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	return v, ok
}

// take returns what is remembered, else false, and forgets it.
func (r *recent[V]) take(key string) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.getLocked(key)
	delete(r.young, key)
	delete(r.old, key)
	return v, ok
}
