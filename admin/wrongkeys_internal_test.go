package admin

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestWrongKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wrongKeys{}
		guesser := netip.MustParseAddr("192.0.2.1")
		for n := range wrongAtOnce {
			if wait := w.wait(guesser); wait > 0 {
				t.Fatalf("after %d wrong keys the next waits %v", n, wait)
			}
			w.add(guesser)
		}
		if wait := w.wait(guesser); wait != wrongPause {
			t.Errorf("after %d wrong keys the next waits %v; want %v", wrongAtOnce, wait, wrongPause)
		}
		if wait := w.wait(netip.MustParseAddr("192.0.2.2")); wait > 0 {
			t.Errorf("its neighbour waits %v", wait)
		}
		time.Sleep(wrongPause)
		if wait := w.wait(guesser); wait > 0 {
			t.Errorf("after a pause it waits %v", wait)
		}
		w.add(guesser)
		if wait := w.wait(guesser); wait != wrongPause {
			t.Errorf("after one more it waits %v; want %v", wait, wrongPause)
		}

		t.Log("whoever has a network of IPv6 is one address")
		for n := range byte(wrongAtOnce) {
			w.add(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: n}))
		}
		if wait := w.wait(netip.MustParseAddr("2001:db8::ffff")); wait <= 0 {
			t.Error("another address of the same network does not wait")
		}
		if wait := w.wait(netip.MustParseAddr("2001:db8:0:1::1")); wait > 0 {
			t.Errorf("another network waits %v", wait)
		}
	})
}

// TestWrongKeysAreBounded: who has guessed most is not forgotten for those who guess once.
func TestWrongKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wrongKeys{}
		guesser := netip.MustParseAddr("192.0.2.1")
		for range wrongAtOnce {
			w.add(guesser)
		}
		for n := range mostGuessers + 500 {
			w.add(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
		}
		if len(w.clear) > mostGuessers {
			t.Errorf("%d addresses are remembered; want %d at most", len(w.clear), mostGuessers)
		}
		if w.wait(guesser) <= 0 {
			t.Error("the guesser is forgotten")
		}
		time.Sleep(wrongAtOnce*wrongPause + 1)
		w.add(netip.MustParseAddr("192.0.2.2"))
		if len(w.clear) != 1 {
			t.Errorf("%d addresses are remembered after all is forgiven; want 1", len(w.clear))
		}
	})
}
