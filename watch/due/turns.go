package due

// turns is a heap of them.
type turns[T any] struct {
	all    []*Turn[T]
	before func(a, b *Turn[T]) bool
}

// Len is for container/heap, as what follows.
func (h *turns[T]) Len() int           { return len(h.all) }
func (h *turns[T]) Less(i, j int) bool { return h.before(h.all[i], h.all[j]) }
func (h *turns[T]) Swap(i, j int) {
	h.all[i], h.all[j] = h.all[j], h.all[i]
	h.all[i].index, h.all[j].index = i, j
}

// Push is for container/heap.
func (h *turns[T]) Push(x any) {
	t := x.(*Turn[T])
	t.in, t.index = h, len(h.all)
	h.all = append(h.all, t)
}

// Pop is for container/heap.
func (h *turns[T]) Pop() any {
	last := len(h.all) - 1
	t := h.all[last]
	h.all[last] = nil
	h.all = h.all[:last]
	t.in = nil
	return t
}
