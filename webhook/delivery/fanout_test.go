package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/session"
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

func newFanOut(t *testing.T, s subscriptions) (delivery.FanOut, *event.Log) {
	t.Helper()
	opened := openStore(t)
	events := openEvents(t, opened.Store, slog.New(slog.DiscardHandler))
	return delivery.NewFanOut(t.Context(), opened.Store, events, s), events
}

// TestBacklogCountsWhatIsNotHandedOut: an event counts from the moment it is recorded, and then
// each of its deliveries does.
func TestBacklogCountsWhatIsNotHandedOut(t *testing.T) {
	t.Parallel()
	subs := []*delivery.Subscription{{ID: "sub_a", Consumer: "sub_a"}, {ID: "sub_b", Consumer: "sub_b"}}
	f, events := newFanOut(t, subscriptions{matching: func(*event.Event) []*delivery.Subscription { return subs }})
	for _, sub := range subs {
		f.Opens(sub.Consumer)
	}
	if !f.Begin(t.Context()) {
		t.Fatal("it does not begin")
	}
	waiting := func(want int) {
		t.Helper()
		if n, err := f.Waiting(t.Context()); err != nil || n != want {
			t.Errorf("%d wait, %v; want %d", n, err, want)
		}
	}
	for i := range 3 {
		waiting(i)
		c := event.Change{Subject: event.Subject{Session: fmt.Sprintf("ses_%d", i)}, Type: event.TypeSucceeded, State: session.Succeeded, At: time.Now()}
		_, err := events.Record(t.Context(), c)
		testkit.NoError(t, err)
	}
	waiting(3)
	first, err := events.Get(t.Context(), 1)
	testkit.NoError(t, err)
	testkit.NoError(t, f.Event(t.Context(), first))
	waiting(len(subs) + 2)
}

// TestWhatSpillsTakesNoMemory: an event beyond what memory may hold is not kept there until
// the queue has it.
func TestWhatSpillsTakesNoMemory(t *testing.T) {
	t.Parallel()
	const events = 20
	sub := &delivery.Subscription{ID: "sub_a", Consumer: "sub_a"}
	f, _ := newFanOut(t, subscriptions{matching: func(*event.Event) []*delivery.Subscription { return []*delivery.Subscription{sub} }})
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

// TestWhatTakesTooLongTakesNoMemory: from when it is on its way into the queue, and not only when
// that has it.
func TestWhatTakesTooLongTakesNoMemory(t *testing.T) {
	t.Parallel()
	sub := &delivery.Subscription{ID: "sub_a", Consumer: "sub_a"}
	f, _ := newFanOut(t, subscriptions{matching: func(*event.Event) []*delivery.Subscription { return []*delivery.Subscription{sub} }})
	f.Opens(sub.Consumer)
	before := f.Memory()
	testkit.NoError(t, f.Event(t.Context(), &event.Event{ID: "evt_a", Key: "ses_a", Type: event.TypeSucceeded, Position: 1, Payload: make([]byte, 1<<20)}))
	if n := f.Memory() - before; n < 1<<20 {
		t.Errorf("%d bytes are taken while it stands in line; want its size", n)
	}
	f.QueueAll()
	if jobs, bytes := f.Spilled(); jobs != 1 || bytes != 0 || f.Memory() != before {
		t.Errorf("%d jobs with %d bytes are on their way, %d bytes are taken; want one with none, and none", jobs, bytes, f.Memory()-before)
	}
}

// TestMatchedCountsAsHandedOut: whoever is enabled after the subscriptions were looked up
// recovers the event, and nobody finds it neither waiting nor in flight.
func TestMatchedCountsAsHandedOut(t *testing.T) {
	t.Parallel()
	var f delivery.FanOut
	var handed uint64
	var inFlight int64
	f, _ = newFanOut(t, subscriptions{matching: func(*event.Event) []*delivery.Subscription {
		handed, inFlight = f.Handed(), f.InFlight()
		return nil
	}})
	testkit.NoError(t, f.Event(t.Context(), &event.Event{ID: "evt_a", Key: "ses_a", Type: event.TypePending, Position: 7}))
	if handed != 7 || inFlight != 1 {
		t.Errorf("while they are looked up the last one handed out is %d, and %d are in flight; want 7 and 1", handed, inFlight)
	}
	if n := f.InFlight(); n != 0 {
		t.Errorf("%d are in flight after that", n)
	}
}

// TestEndOfASessionIsToldUntilItWorks: the event is not over, and went to nobody, while those
// who are attached to its session cannot be let go.
func TestEndOfASessionIsToldUntilItWorks(t *testing.T) {
	t.Parallel()
	matched, broken := 0, errors.New("the store is busy")
	f, _ := newFanOut(t, subscriptions{
		matching: func(*event.Event) []*delivery.Subscription { matched++; return nil },
		fansOut:  func() error { return broken },
	})
	e := &event.Event{ID: "evt_a", Key: "ses_a", Type: event.TypeSucceeded, Final: true, Position: 7}
	before := f.Handed()
	if err := f.Event(t.Context(), e); !errors.Is(err, broken) {
		t.Errorf("the event is over with %v", err)
	}
	if matched != 0 || f.Handed() != before || f.InFlight() != 0 {
		t.Errorf("it was looked up %d times, %d are in flight, and the last one handed out is %d", matched, f.InFlight(), f.Handed())
	}
	broken = nil
	if err := f.Event(t.Context(), e); err != nil || matched != 1 {
		t.Errorf("then: %v, looked up %d times", err, matched)
	}
}
