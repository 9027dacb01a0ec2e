package delivery_test

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/webhook/delivery"
)

// firstHang is a receiver whose first webhooks are not answered before end is called.
func firstHang(t *testing.T, first int) (r *testkit.Receiver, end func()) {
	t.Helper()
	answer := make(chan struct{})
	end = sync.OnceFunc(func() { close(answer) })
	r = testkit.NewReceiver(t, func(_ http.ResponseWriter, _ testkit.Webhook, n int) {
		if n <= first {
			<-answer
		}
	})
	t.Cleanup(end)
	return r, end
}

// allHandedOut waits until the first process has all events.
func (f *fleet) allHandedOut() {
	f.t.Helper()
	testkit.Eventually(f.t, "the first process has all events", func() bool {
		waiting, _, err := f.events.Behind(f.t.Context(), "fanout")
		return waiting == 0 && err == nil
	})
}

// TestStoppedDuringAnAttempt: what a process that is about to go has not begun goes to another one, and what it has
// begun it finishes.
func TestStoppedDuringAnAttempt(t *testing.T) {
	t.Parallel()
	r, end := firstHang(t, 1)
	f := newFleetOfOne(t, r, true, func(cfg *delivery.Config, _ *delivery.Options) { cfg.Concurrency = 1 })
	e := f.event("ses_begun")
	r.Wait(t, 1)
	f.event("ses_not_begun")
	f.allHandedOut()
	f.second = f.begin("second")
	f.first.Stop()
	r.Wait(t, 2)
	f.event("ses_later") // behind whatever else was handed back
	r.Wait(t, 3)
	end()
	f.first.Close(someGrace)
	d, _, err := f.second.Of(t.Context(), f.sub.ID, e)
	testkit.NoError(t, err)
	if d.State != delivery.Delivered || len(d.Attempts) != 1 || r.Count() != 3 {
		t.Errorf("it is %s after %d attempts, and %d webhooks came; want one for each of three events", d.State, len(d.Attempts), r.Count())
	}
	testkit.Eventually(t, "the event is over", func() bool {
		followed, err := f.events.Followed(t.Context(), "fanout")
		return followed >= e.Position && err == nil
	})
}

// TestStoppedWithAnItem: an item of the queue is kept for as long as the attempt takes.
func TestStoppedWithAnItem(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for two renewals")
	}
	r, end := firstHang(t, 1)
	f := newFleetOfOne(t, r, false)
	e := f.event("ses_a")
	testkit.NoError(t, f.first.Deliver(t.Context(), f.sub, e))
	r.Wait(t, 1)
	f.second = f.begin("second")
	f.first.Stop()
	said := testkit.Must(f.store.Engine.Conn().SubscribeSync("$JS.ACK.QUEUE_deliveries.>"))(t)
	for range 2 { // the first one may have been on its way
		if m := testkit.Must(said.NextMsgWithContext(testkit.Within(t)))(t); string(m.Data) != "+WPI" {
			t.Fatalf("%s of an item whose attempt is under way", m.Data)
		}
	}
	end()
	if d := f.ends(e); d.State != delivery.Delivered || r.Count() != 1 {
		t.Errorf("it is %s after %d webhooks; want one", d.State, r.Count())
	}
}

// bySession is subscriptions to the events of sessions.
type bySession struct {
	everyone
	subs map[string][]*delivery.Subscription
}

func (s bySession) Matching(e *event.Event) []*delivery.Subscription { return s.subs[e.Key] }

func (s bySession) Subscription(id string) *delivery.Subscription {
	for _, subs := range s.subs {
		for _, sub := range subs {
			if sub.ID == id {
				return sub
			}
		}
	}
	return nil
}

// TestStoppedWithHalfAnEvent: an event of which one delivery is begun and another one is not stays until the first one
// is over, or that would be made twice.
func TestStoppedWithHalfAnEvent(t *testing.T) {
	t.Parallel()
	r, end := firstHang(t, 2)
	f := newFleetOfOne(t, r, true, func(cfg *delivery.Config, o *delivery.Options) {
		cfg.Concurrency = 1
		_, a := sendingTo(r)
		_, b := sendingTo(r)
		keys := func(time.Time) []string { return []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} }
		a.Keys, b.Keys = keys, keys
		a.ID, a.Consumer, a.URL = "sub_a", "sub_a", r.URL+"/a"
		b.ID, b.Consumer, b.URL = "sub_b", "sub_b", r.URL+"/b"
		o.Subscriptions = bySession{subs: map[string][]*delivery.Subscription{"ses_1": {b}, "ses_2": {a, b}, "ses_3": {b}, "ses_4": {a}}}
	})
	f.event("ses_1")
	r.Wait(t, 1)
	f.event("ses_2")
	r.Wait(t, 2)
	f.event("ses_3")
	f.allHandedOut()
	f.second = f.begin("second")
	f.first.Stop()
	r.Wait(t, 3)
	f.event("ses_4") // behind whatever else was handed back
	r.Wait(t, 4)
	end()
	r.Wait(t, 5)
	f.first.Close(someGrace)
	came := map[string]int{}
	for _, got := range r.Got() {
		came[got.Path+" "+fmt.Sprint(got.Data["session"])]++
	}
	if want := map[string]int{"/b ses_1": 1, "/a ses_2": 1, "/b ses_2": 1, "/b ses_3": 1, "/a ses_4": 1}; !maps.Equal(came, want) {
		t.Errorf("there came %v; want %v", came, want)
	}
}
