package due

import (
	"math"
	"math/bits"
)

// levels are turns by what they are worth, to a sixteenth: whoever is worth that much more goes first,
// and of those that are worth the same, who came first. Nothing in it takes longer the more there are.
type levels[T any] struct {
	all  [levelCount]line[T]
	used [levelCount / 64]uint64 // a bit for each level that is not empty
}

// line is a list of turns.
type line[T any] struct{ first, last *Turn[T] }

const (
	levelCount = 1024
	levelBits  = 4         // of the mantissa, after the exponent: 16 levels each time worth doubles
	lowest     = 1023 - 44 // the exponent of the first level, which has all below, too; the last one has all above
)

// levelOf is the level of a turn that is worth so much.
func levelOf(worth float64) int {
	if !(worth > 0) {
		return 0
	}
	return min(levelCount-1, max(0, int(math.Float64bits(worth)>>(52-levelBits))-lowest<<levelBits))
}

func (l *levels[T]) add(t *Turn[T], worth float64) {
	t.level = levelOf(worth)
	in := &l.all[t.level]
	t.before, t.after = in.last, nil
	if in.last == nil {
		in.first = t
		l.used[t.level/64] |= 1 << (t.level % 64)
	} else {
		in.last.after = t
	}
	in.last = t
}

func (l *levels[T]) remove(t *Turn[T]) {
	in := &l.all[t.level]
	if t.before == nil {
		in.first = t.after
	} else {
		t.before.after = t.after
	}
	if t.after == nil {
		in.last = t.before
	} else {
		t.after.before = t.before
	}
	t.before, t.after = nil, nil
	if in.first == nil {
		l.used[t.level/64] &^= 1 << (t.level % 64)
	}
}

// move has a turn be worth something else.
func (l *levels[T]) move(t *Turn[T], worth float64) {
	if levelOf(worth) != t.level {
		l.remove(t)
		l.add(t, worth)
	}
}

// top is the turn that is worth the most; there has to be one.
func (l *levels[T]) top() *Turn[T] {
	for word := len(l.used) - 1; word >= 0; word-- {
		if set := l.used[word]; set != 0 {
			return l.all[64*word+bits.Len64(set)-1].first
		}
	}
	return nil
}
