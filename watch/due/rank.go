package due

import (
	"container/heap"
	"time"
)

const (
	// some is how many become ready with each turn, and how many are ranked anew: all of them, while a
	// sixteenth have their turn.
	some = 16
	// parts is into how many the time is divided in which all have to have their turn.
	parts = 32
)

// admit has some be ready that are due.
func (q *Queue[T]) admit(now time.Time) {
	for range some {
		if len(q.waiting.all) == 0 || q.waiting.all[0].At.After(now) {
			return
		}
		t := heap.Pop(&q.waiting).(*Turn[T])
		heap.Push(&q.ready, t)
		q.levels.add(t, q.worth(t.Of, now))
	}
}

// rank finds out anew what polls are worth of some that are ready, one after the other.
func (q *Queue[T]) rank(now time.Time) {
	for range min(some, len(q.ready.all)) {
		if q.next--; q.next < 0 || q.next >= len(q.ready.all) {
			q.next = len(q.ready.all) - 1
		}
		t := q.ready.all[q.next]
		q.levels.move(t, q.worth(t.Of, now))
	}
}

// look finds out who goes first for as many turns as are over before that changes much.
func (q *Queue[T]) look(now time.Time, l Limits) {
	q.learnRate(now, l)
	q.left = len(q.ready.all)/some + 1
	q.late = q.someLate(now, l.Longest)
}

// count counts all turns anew, in steps that fit: at the start, and where there are several times as many
// as then.
func (q *Queue[T]) count(now time.Time, longest time.Duration) {
	q.waits = waits{step: max(1, longest/(8*parts)), began: now, counts: map[time.Duration]int{}}
	for _, h := range []*turns[T]{&q.waiting, &q.ready} {
		for _, t := range h.all {
			q.waits.add(t.Since, 1)
		}
	}
}

// learnRate finds out how many polls the upstream takes: others may share what it does.
func (q *Queue[T]) learnRate(now time.Time, l Limits) {
	if q.rate == 0 {
		q.rate = l.Rate
	}
	if passed := now.Sub(q.looked); !q.looked.IsZero() && passed > 0 {
		was := float64(q.polls) / passed.Seconds()
		// What is known is forgotten within an eighth of the time that counts.
		q.rate += (was - q.rate) * min(1, 8*passed.Seconds()/l.Longest.Seconds())
	}
	q.polls, q.looked = 0, now
}

// someLate reports whether those that have waited the longest have to go first, or somebody might wait
// for too long: where the next turns were used otherwise, there would be a time before which more
// have to have their turn than there are turns.
func (q *Queue[T]) someLate(now time.Time, longest time.Duration) bool {
	var within [parts + 1]int // have to have their turn no sooner than in so many parts of the time
	for since, n := range q.waits.all {
		part := since.Add(longest).Sub(now) * parts / longest
		within[min(parts, max(0, part))] += n
	}
	each := q.rate * longest.Seconds() / parts
	have := float64(q.left)
	for part, n := range within[:parts] {
		if have += float64(n); n > 0 && have > each*float64(part) {
			return true
		}
	}
	return false
}
