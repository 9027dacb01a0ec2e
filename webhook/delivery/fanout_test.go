package delivery_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
	"pollbridge/webhook/delivery"
)

// subscriptions are told of nothing.
type subscriptions struct {
	delivery.Subscriptions
	matching func(*event.Event) []*delivery.Subscription
	fansOut  func() error // nil: all is well
}

func (s subscriptions) Matching(e *event.Event) []*delivery.Subscription { return s.matching(e) }
func (s subscriptions) FansOut(context.Context, *event.Event) error {
	if s.fansOut == nil {
		return nil
	}
	return s.fansOut()
}

func newFanOut(t *testing.T, s subscriptions) delivery.FanOut {
	t.Helper()
	opened, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	t.Cleanup(func() { opened.Close() })
	return delivery.NewFanOut(t.Context(), opened.Store, s)
}

// TestWhatSpillsTakesNoMemory: an event beyond what memory may hold is not kept there until
// the queue has it.
func TestWhatSpillsTakesNoMemory(t *testing.T) {
	t.Parallel()
	const events = 20
	sub := &delivery.Subscription{ID: "sub_a", Consumer: "sub_a"}
	f := newFanOut(t, subscriptions{matching: func(*event.Event) []*delivery.Subscription { return []*delivery.Subscription{sub} }})
	f.Opens(sub.Consumer)
	f.Fill()
	for i := range events {
		e := &event.Event{ID: "evt_a", Key: "ses_a", Type: event.TypeSucceeded, Position: uint64(i + 1), Payload: make([]byte, 1<<20)}
		testkit.NoError(t, f.Event(t.Context(), e))
	}
	if n := f.Memory(); n != 0 {
		t.Errorf("%d bytes are taken; want none", n)
	}
	if jobs, bytes := f.Spilled(); jobs != events || bytes != 0 {
		t.Errorf("%d jobs with %d bytes are on their way; want %d with none", jobs, bytes, events)
	}
}

// TestMatchedCountsAsHandedOut: whoever is enabled after the subscriptions were looked up
// recovers the event, and nobody finds it neither waiting nor open.
func TestMatchedCountsAsHandedOut(t *testing.T) {
	t.Parallel()
	var f delivery.FanOut
	var handed uint64
	var open int64
	f = newFanOut(t, subscriptions{matching: func(*event.Event) []*delivery.Subscription {
		handed, open = f.Handed(), f.Open()
		return nil
	}})
	testkit.NoError(t, f.Event(t.Context(), &event.Event{ID: "evt_a", Key: "ses_a", Type: event.TypePending, Position: 7}))
	if handed != 7 || open != 1 {
		t.Errorf("while they are looked up the last one handed out is %d, and %d are open; want 7 and 1", handed, open)
	}
	if n := f.Open(); n != 0 {
		t.Errorf("%d are open after that", n)
	}
}

// TestEndOfASessionIsToldUntilItWorks: the event is not over, and went to nobody, while those
// who are attached to its session cannot be let go.
func TestEndOfASessionIsToldUntilItWorks(t *testing.T) {
	t.Parallel()
	matched, broken := 0, errors.New("the store is busy")
	f := newFanOut(t, subscriptions{
		matching: func(*event.Event) []*delivery.Subscription { matched++; return nil },
		fansOut:  func() error { return broken },
	})
	e := &event.Event{ID: "evt_a", Key: "ses_a", Type: event.TypeSucceeded, Final: true, Position: 7}
	before := f.Handed()
	if err := f.Event(t.Context(), e); !errors.Is(err, broken) {
		t.Errorf("the event is over with %v", err)
	}
	if matched != 0 || f.Handed() != before || f.Open() != 0 {
		t.Errorf("it was looked up %d times, %d are open, and the last one handed out is %d", matched, f.Open(), f.Handed())
	}
	broken = nil
	if err := f.Event(t.Context(), e); err != nil || matched != 1 {
		t.Errorf("then: %v, looked up %d times", err, matched)
	}
}
