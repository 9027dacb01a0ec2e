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
	var seats [clients]seat
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
		d.enter(&seats[i], ours)
		waiters[i] = seats[i].watch(func() { gone <- i })
	}
	for _, i := range []int{0, 3} {
		if !waiters[i].stop() {
			t.Errorf("stopping %d came too late", i)
		}
	}
	if waiters[3].stop() { // nothing more is done
		t.Error("stopping came in time once more")
	}
	d.leave(&seats[7])
	d.leave(&seats[7])
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
	for _, i := range []int{5, 0, 6, 1, 2, 3, 4} { // the first, the last, and those that took their places
		d.leave(&seats[i])
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.seats) > 0 || len(gone) > 0 {
		t.Errorf("%d still have a place, and %d more were told", len(d.seats), len(gone))
	}
}

// TestOneAfterAnother: whoever waits next on a connection is told of its end, and not
// whoever has stopped.
func TestOneAfterAnother(t *testing.T) {
	here, there := socketPair(t)
	d := newDepartures(time.Millisecond, func(time.Time) {})
	defer d.close()
	var s seat
	d.enter(&s, here)
	gone := make(chan string, 10)
	first := s.watch(func() { gone <- "first" })
	first.stop()
	second := s.watch(func() { gone <- "second" })
	first.stop() // too late to stop anybody else
	there.Close()
	if got := <-gone; got != "second" {
		t.Errorf("told the %s; want the second", got)
	}
	if second.stop() {
		t.Error("stopping came in time, after the client was told")
	}
	s.watch(func() { gone <- "third" })
	if got := <-gone; got != "third" {
		t.Errorf("told the %s; want the third", got)
	}
	var none *seat
	none.watch(func() { gone <- "nobody" }).stop()
}
