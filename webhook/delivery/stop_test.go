package delivery_test

import (
	"net/http"
	"sync"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/webhook/delivery"
)

// firstHangs is a receiver whose first webhook is not answered before end is called.
func firstHangs(t *testing.T) (r *testkit.Receiver, end func()) {
	t.Helper()
	answer := make(chan struct{})
	end = sync.OnceFunc(func() { close(answer) })
	r = testkit.NewReceiver(t, func(_ http.ResponseWriter, _ testkit.Webhook, n int) {
		if n == 1 {
			<-answer
		}
	})
	t.Cleanup(end)
	return r, end
}

// TestStoppedDuringAnAttempt: what a process that is about to go has not begun goes to another one, and what it has
// begun it finishes.
func TestStoppedDuringAnAttempt(t *testing.T) {
	t.Parallel()
	r, end := firstHangs(t)
	f := newFleetOfOne(t, r, true, func(cfg *delivery.Config, _ *delivery.Options) { cfg.Concurrency = 1 })
	e := f.event("ses_begun")
	r.Wait(t, 1)
	f.event("ses_not_begun")
	testkit.Eventually(t, "the first process has both", func() bool {
		waiting, out, err := f.events.Behind(t.Context(), "fanout")
		return waiting == 0 && out == 2 && err == nil
	})
	f.second = f.begin("second")
	f.first.Stop()
	r.Wait(t, 2)
	f.event("ses_later") // behind whatever else was handed back
	r.Wait(t, 3)
	end()
	f.first.Close()
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
	r, end := firstHangs(t)
	f := newFleet(t, r, false)
	e := f.event("ses_a")
	testkit.NoError(t, f.first.Deliver(t.Context(), f.sub, e))
	r.Wait(t, 1)
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
