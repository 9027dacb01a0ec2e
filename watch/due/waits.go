package due

import "time"

// waits counts turns by since when they wait, in steps: so it is found out who is late without looking
// at each of them.
type waits struct {
	step   time.Duration         // 0: nobody has asked yet, and nothing is counted
	began  time.Time             // of what is counted from
	counts map[time.Duration]int // by when the step begins, since then
}

// add counts so many turns more.
func (w *waits) add(since time.Time, n int) {
	if w.step == 0 {
		return
	}
	begin := since.Sub(w.began).Truncate(w.step)
	if begin > since.Sub(w.began) {
		begin -= w.step // Truncate goes towards 0, and it is never later than since
	}
	if w.counts[begin] += n; w.counts[begin] == 0 {
		delete(w.counts, begin)
	}
}

// all yields since when turns wait, or up to a step longer, and how many.
func (w *waits) all(yield func(since time.Time, n int) bool) {
	for begin, n := range w.counts {
		if !yield(w.began.Add(begin), n) {
			return
		}
	}
}

// fits reports whether steps are small against a time, and not too many.
func (w *waits) fits(longest time.Duration) bool {
	return w.step > 0 && w.step <= longest/(2*parts) && w.step >= longest/(64*parts)
}
