package proxy

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestTurnsAreGivenAway(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds = 1000
	for _, c := range []struct {
		name        string
		answers     bool // whether there is one before each read
		wanted      bool // whether others read when they can
		least, most int  // the runtime may decide otherwise now and then
	}{
		{"every other one on a busy server", true, true, rounds * 4 / 10, rounds * 6 / 10},
		{"few while nobody takes them", true, false, rounds / longPause, rounds / 10},
		{"none without an answer", false, true, 0, rounds / 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			var taken atomic.Uint64
			turns, given := newTurns(&taken), 0
			for range rounds {
				var ran atomic.Bool
				done := make(chan struct{})
				go func() {
					defer close(done)
					ran.Store(true)
					if c.wanted {
						taken.Add(1)
					}
				}()
				if c.answers {
					turns.written()
				}
				turns.beforeRead()
				if ran.Load() {
					given++
				}
				<-done
			}
			if given < c.least || given > c.most {
				t.Errorf("%d of %d turns were given away; want %d to %d", given, rounds, c.least, c.most)
			}
		})
	}
}
