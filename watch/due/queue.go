package due

import (
	"container/heap"
	"time"
)

// Turn is a place in a Queue. While it has one, only the Queue changes it; see Queue.Put. The zero
// value has none.
type Turn[T any] struct {
	Of T
	// At is when it is due, and Since from when on it waits: its last poll, in most cases.
	At, Since time.Time

	in    *turns[T] // the heap that it is in; nil: it has no place
	index int       // in that

	level         int // in levels, where it is due
	before, after *Turn[T]
}

// Waits reports whether it has a place in a queue.
func (t *Turn[T]) Waits() bool { return t.in != nil }

// Limits are those of what the upstream takes.
type Limits struct {
	// Longest is how long nobody waits more than.
	Longest time.Duration
	// Rate is how many polls it takes in a second, at most; 0: that is not known.
	Rate float64
}

// Queue holds turns. It is not safe for concurrent use. Get one from New.
type Queue[T any] struct {
	worth   func(of T, now time.Time) float64
	waiting turns[T]  // those that are not due, as far as is known: the earliest on top
	ready   turns[T]  // those that are: who has waited the longest on top
	levels  levels[T] // the same ones, by what they are worth
	waits   waits     // of all, where worth counts

	next   int       // in ready: who is ranked anew
	left   int       // turns until it is looked again whether some are late
	late   bool      // they are: who has waited the longest goes first
	polls  int       // since it was looked
	looked time.Time // zero: not all turns since then were wanted
	rate   float64   // polls a second that were made while some waited; 0: that is not known
}

// New returns an empty queue. How much a poll is worth, worth says: the greatest goes first of those that
// are due. Nil: whoever was due first does, without any bound.
func New[T any](worth func(of T, now time.Time) float64) *Queue[T] {
	q := &Queue[T]{worth: worth}
	q.waiting.before = func(a, b *Turn[T]) bool { return a.At.Before(b.At) }
	q.ready.before = func(a, b *Turn[T]) bool { return a.Since.Before(b.Since) }
	return q
}

// Put has a turn wait until it is due, wherever it was, and reports whether it is the first one that
// does.
func (q *Queue[T]) Put(t *Turn[T], at, since time.Time) (first bool) {
	q.Remove(t)
	t.At, t.Since = at, since
	heap.Push(&q.waiting, t)
	q.waits.add(since, 1)
	return t.index == 0
}

// Remove takes a turn out, if it is there.
func (q *Queue[T]) Remove(t *Turn[T]) {
	switch t.in {
	case nil:
		return
	case &q.ready:
		q.levels.remove(t)
	}
	heap.Remove(t.in, t.index)
	q.waits.add(t.Since, -1)
}

// Next takes out the turn that goes first, or says how long it is until one is due. However many are
// due, it looks at few of them.
func (q *Queue[T]) Next(now time.Time, l Limits) (first *Turn[T], wait time.Duration) {
	if q.worth == nil {
		if len(q.waiting.all) > 0 && !q.waiting.all[0].At.After(now) {
			return heap.Pop(&q.waiting).(*Turn[T]), 0
		}
		return nil, q.untilDue(now)
	}
	if !q.waits.fits(l.Longest) {
		q.count(now, l.Longest)
	}
	q.admit(now)
	first = q.first(now, l)
	if first == nil {
		return nil, q.untilDue(now)
	}
	q.Remove(first)
	return first, 0
}

// first is the turn that goes first of those that are due; nil: none is.
func (q *Queue[T]) first(now time.Time, l Limits) *Turn[T] {
	if len(q.ready.all) < 2 { // nobody else wants the turn
		q.left, q.looked = 0, time.Time{}
		return q.levels.top()
	}
	q.rank(now)
	if q.left <= 0 {
		q.look(now, l)
	}
	q.left--
	if q.late {
		return q.ready.all[0]
	}
	return q.levels.top()
}

// Ready reports whether one is due.
func (q *Queue[T]) Ready(now time.Time) bool {
	return len(q.ready.all) > 0 || len(q.waiting.all) > 0 && !q.waiting.all[0].At.After(now)
}

// Polled is told that a poll was made, of those whose turn it was: the upstream may have refused
// others.
func (q *Queue[T]) Polled() { q.polls++ }

func (q *Queue[T]) untilDue(now time.Time) time.Duration {
	const most = time.Hour
	if len(q.waiting.all) == 0 {
		return most
	}
	return min(most, q.waiting.all[0].At.Sub(now))
}
