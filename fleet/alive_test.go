package fleet

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWhenAReplicaIsMissed: a replica that died is missed after ten seconds. Where nobody could
// be heard meanwhile, the others have to have had the time to be heard again, and no more.
func TestWhenAReplicaIsMissed(t *testing.T) {
	for _, test := range []struct {
		name           string
		silent, speaks time.Duration // between these, from its death on, nobody is heard
		early, late    time.Duration // it is there still, and no more
	}{
		{name: "all is well", early: 10 * time.Second, late: 12 * time.Second},
		{name: "another leader is elected", silent: time.Second, speaks: 8 * time.Second, early: 12900 * time.Millisecond, late: 13100 * time.Millisecond},
		{name: "nobody is heard for a minute", silent: time.Second, speaks: time.Minute, early: 64900 * time.Millisecond, late: 65100 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				died := time.Now()
				f := &Fleet{id: "a", timing: usual, beats: map[int]time.Time{}}
				p := &peer{at: died, heard: died}
				f.currentSince, f.ownHeard, f.newest = died.Add(-time.Hour), died, died
				alive := func(after time.Duration) bool {
					for now := time.Since(died); now < after; now = time.Since(died) {
						if now <= test.silent || now >= test.speaks {
							f.ownBeatLocked(0, time.Now())
							f.newest = time.Now()
						}
						time.Sleep(min(500*time.Millisecond, after-now))
					}
					return f.aliveLocked(p)
				}
				if !alive(test.early) {
					t.Errorf("it is missed within %v", test.early)
				}
				if alive(test.late) {
					t.Errorf("it is not missed within %v", test.late)
				}
			})
		})
	}
}
