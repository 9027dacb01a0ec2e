package delivery

import (
	"context"
	"testing"
	"time"

	"pollbridge/store"
)

// idle is a consumer that does nothing by itself.
func idle() *consumer {
	s := &Service{openFor: time.Second}
	s.others = newOthers(s, nil)
	return &consumer{
		s: s, jobs: map[string]*job{}, wake: make(chan struct{}, 1), living: context.Background(),
		breaker: newBreaker(s, "sub_a"),
	}
}

// TestARetryThatIsDueAtOnce: its item comes while the attempt before is not over yet. It is not
// done with that.
func TestARetryThatIsDueAtOnce(t *testing.T) {
	c := idle()
	if !c.offer(&job{name: "dlv_a-7", done: func() {}, since: time.Now()}) {
		t.Fatal("the event is not taken")
	}
	j := c.line[0]
	c.line, c.inHand, j.inHand = nil, 1, true // as begin does
	if c.leaves(j) {
		t.Fatal("nothing of it is in the queue, but it is left there")
	}
	retry := &store.Item{Name: "dlv_a-7"}
	c.put(retry)
	c.finish(j) // would acknowledge it, which an item without a queue does not survive
	if len(c.line) != 1 || len(c.line[0].items) != 1 || c.line[0].items[0] != retry {
		t.Errorf("%d jobs are in line after it; want the retry", len(c.line))
	}
}

// TestAnItemBeforeItsEvent: after a crash the queue may hand out what the log hands out again.
// If that takes too long it goes to the queue as what it is.
func TestAnItemBeforeItsEvent(t *testing.T) {
	c := idle()
	w := work{Subscription: "sub_a", Subject: "ses_a", Event: "evt_a", Position: 7}
	c.put(&store.Item{Name: "dlv_a-7", Value: store.JSON(w)})
	if !c.offer(&job{name: "dlv_a-7", work: w, done: func() {}, since: time.Now().Add(-time.Minute)}) {
		t.Fatal("the event is not taken")
	}
	found, _ := c.overdue(time.Second)
	if len(found) != 1 || found[0].work != w {
		t.Errorf("%d jobs go to the queue: %+v; want what the event is", len(found), found)
	}
}
