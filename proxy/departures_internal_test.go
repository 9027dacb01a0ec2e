package proxy

import (
	"net"
	"testing"
	"time"
)

// TestDepartures: whoever waits is told once of its own client, whoever else stops
// waiting meanwhile.
func TestDepartures(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	d := newDepartures(time.Millisecond, func(time.Time) {})
	defer d.close()
	const clients = 8
	gone := make(chan int, 2*clients)
	var waiters [clients]*waiter
	var theirs [clients]net.Conn
	for i := range clients {
		if theirs[i], err = net.Dial("tcp", listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
		ours, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		waiters[i] = d.watch(ours, func() { gone <- i })
	}
	for _, i := range []int{0, 3, 3, 7} { // the first, one in the middle, again, and the last
		waiters[i].stop()
	}
	for i := range clients {
		theirs[i].Close()
	}
	var told [clients]int
	for range clients - 3 {
		select {
		case i := <-gone:
			told[i]++
		case <-time.After(5 * time.Second):
			t.Fatalf("told %v; want each but 0, 3 and 7", told)
		}
	}
	if want := [clients]int{0, 1, 1, 0, 1, 1, 1, 0}; told != want {
		t.Errorf("told %v; want %v", told, want)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) > 0 || len(gone) > 0 {
		t.Errorf("%d still wait, and %d more were told", len(d.waiting), len(gone))
	}
}
