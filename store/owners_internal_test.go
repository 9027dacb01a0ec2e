package store

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestOwners: whoever may have something is known for as long as anybody may be given it, and
// not for ever.
func TestOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOwners(time.Minute)
		if o.none("a") {
			t.Error("what earlier processes have stored is not known, and it has nothing")
		}
		o.completeNow()
		if !o.none("a") {
			t.Error("nothing was stored, and it may have something")
		}
		time.Sleep(50 * time.Second)
		o.add("a")
		for range 2 {
			time.Sleep(30*time.Second - 1)
			if o.none("a") {
				t.Error("its time is not over, and it has nothing")
			}
		}
		time.Sleep(time.Minute)
		o.none("b")
		if time.Sleep(time.Minute); !o.none("a") || len(o.now)+len(o.before) != 0 {
			t.Error("its time is over, and it is known")
		}
	})
}
