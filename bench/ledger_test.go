package main

import "testing"

func TestLedger(t *testing.T) {
	l := newLedger()
	leaveA, leaveB := l.enter("a"), l.enter("b")
	if got := l.most.Load(); got != 1 {
		t.Errorf("most = %d with one request for each token, want 1", got)
	}
	again := l.enter("a")
	leaveA()
	leaveB()
	again()
	l.enter("a")()
	if total, most := l.total.Load(), l.most.Load(); total != 4 || most != 2 {
		t.Errorf("total, most = %d, %d; want 4, 2", total, most)
	}
	for i := range l.shards {
		if n := len(l.shards[i].inFlight); n != 0 {
			t.Errorf("shard %d remembers %d tokens that are not in flight", i, n)
		}
	}
}
