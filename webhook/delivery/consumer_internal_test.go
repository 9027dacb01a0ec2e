package delivery

import (
	"context"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"pollbridge/store"
	"pollbridge/webhook/send"
)

// TestAnItemBeforeItsEvent: after a crash the queue may hand out what the log hands out again.
// If that takes too long it goes to the queue as what it is.
func TestAnItemBeforeItsEvent(t *testing.T) {
	c := &consumer{
		s: &Service{}, jobs: map[string]*job{}, wake: make(chan struct{}, 1), living: context.Background(),
		breaker: gobreaker.NewCircuitBreaker[send.Outcome](gobreaker.Settings{}),
	}
	w := work{Subscription: "sub_a", Subject: "ses_a", Event: "evt_a", Position: 7}
	c.put(&store.Item{Name: "dlv_a-7"})
	if !c.offer(&job{name: "dlv_a-7", work: w, done: func() {}, since: time.Now().Add(-time.Minute)}) {
		t.Fatal("the event is not taken")
	}
	found := c.overdue(time.Second)
	if len(found) != 1 || found[0].work != w {
		t.Errorf("%d jobs go to the queue: %+v; want what the event is", len(found), found)
	}
}
