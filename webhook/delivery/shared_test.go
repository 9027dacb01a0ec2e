package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/webhook/delivery"
)

// everyone is subscriptions of which there is one.
type everyone struct {
	sub     *delivery.Subscription
	matches bool // events go to it
}

func (everyone) Current(context.Context) error { return nil }

func (e everyone) Subscription(string) *delivery.Subscription { return e.sub }
func (e everyone) Matching(*event.Event) (matching []*delivery.Subscription) {
	if e.matches {
		matching = append(matching, e.sub)
	}
	return matching
}
func (everyone) FansOut(context.Context, *event.Event) error     { return nil }
func (everyone) Delivered(context.Context, string, *event.Event) {}
func (everyone) Failed(context.Context, string)                  {}
func (everyone) Gone(context.Context, string, string) error      { return nil }

// fleet is two processes that deliver to one receiver.
type fleet struct {
	t             *testing.T
	store         *teststore.Store
	events        *event.Log
	sub           *delivery.Subscription
	first, second *delivery.Service
}

func newFleet(t *testing.T, r *testkit.Receiver, matches bool) *fleet {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	opened, err := teststore.Open(t.Context(), teststore.In(t.TempDir()), store.DefaultConfig(), log)
	testkit.NoError(t, err)
	t.Cleanup(func() { opened.Close() })
	f := &fleet{t: t, store: opened, sub: &delivery.Subscription{
		ID: "sub_a", Consumer: "sub_a", URL: r.URL, Keys: func(time.Time) []string { return []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} },
	}}
	f.events, err = event.Open(t.Context(), event.Options{Store: opened.Store, History: time.Hour, Log: log, Registry: prometheus.NewRegistry()})
	testkit.NoError(t, err)
	cfg := delivery.DefaultConfig()
	cfg.AllowHTTP, cfg.AllowNetworks, cfg.AllowPorts = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []int{r.Port()}
	cfg.Retries = []time.Duration{20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond}
	process := func(name string, matches bool) *delivery.Service {
		s, err := delivery.New(t.Context(), cfg, delivery.Options{
			Store: opened.Store, Events: f.events, Subscriptions: everyone{f.sub, matches}, Log: log,
			Registry: prometheus.NewRegistry(), UserAgent: name, History: time.Hour, Quiet: time.Hour,
		})
		testkit.NoError(t, err)
		t.Cleanup(s.Close)
		testkit.NoError(t, s.Start())
		return s
	}
	f.first, f.second = process("first", matches), process("second", false)
	return f
}

func (f *fleet) event(sessionID string) *event.Event {
	f.t.Helper()
	_, err := f.events.Record(f.t.Context(), event.Change{
		Subject: event.Subject{Session: sessionID, Endpoint: "smartid-sign"}, Type: event.TypeSucceeded, State: session.Succeeded, At: time.Now(),
	})
	testkit.NoError(f.t, err)
	e, err := f.events.Last(f.t.Context(), sessionID)
	testkit.NoError(f.t, err)
	return e
}

// ends waits until nothing is left to do, and returns what became of an event.
func (f *fleet) ends(e *event.Event) delivery.Delivery {
	f.t.Helper()
	testkit.Eventually(f.t, "nothing waits", func() bool {
		for _, s := range []*delivery.Service{f.first, f.second} {
			if st, err := s.Stats(f.t.Context()); err != nil || st.BacklogNow+st.BacklogLater+st.AttemptsUnderWay > 0 {
				return false
			}
		}
		return true
	})
	d, _, err := f.second.Of(f.t.Context(), f.sub.ID, e)
	testkit.NoError(f.t, err)
	return d
}

// TestProcessesShareTheQueue of a receiver, and each delivery is made once.
func TestProcessesShareTheQueue(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, nil)
	f := newFleet(t, r, false)
	f.second.Begins(f.sub) // it takes from the queue at once
	by := map[string]int{}
	for i := 0; len(by) < 2; i++ {
		testkit.NoError(t, f.first.Deliver(t.Context(), f.sub, f.event(fmt.Sprint("ses_", i))))
		r.Wait(t, i+1)
		clear(by)
		for _, got := range r.Got() {
			by[got.Header.Get("User-Agent")]++
		}
		if i > 1000 {
			t.Fatalf("all came from one of them: %v", by)
		}
	}
	f.ends(f.event("ses_0"))
	ids := map[string]bool{}
	for _, got := range r.Got() {
		if ids[got.ID()] {
			t.Errorf("%s came more than once", got.ID())
		}
		ids[got.ID()] = true
	}
}

// TestTwoHaveTheSameItem, as one of them stood still: both may make the attempt, as the same
// webhook, and what is recorded is what came of it.
func TestTwoHaveTheSameItem(t *testing.T) {
	t.Parallel()
	for _, answers := range [][]int{{200, 200}, {500, 200, 200}, {200, 500}, {500, 500, 200}, {500, 500, 500, 500, 500, 500}} {
		t.Run(fmt.Sprint(answers), func(t *testing.T) {
			t.Parallel()
			both, second := make(chan struct{}), make(chan struct{})
			end := sync.OnceFunc(func() { close(both) })
			r := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, n int) {
				if n == 2 {
					close(second)
				}
				<-both
				w.WriteHeader(answers[min(n, len(answers))-1])
			})
			t.Cleanup(end)
			f := newFleet(t, r, false)
			f.second.Begins(f.sub)
			e := f.event("ses_a")
			testkit.NoError(t, f.first.Deliver(t.Context(), f.sub, e))
			r.Wait(t, 1)
			js, err := jetstream.New(f.store.Engine.Conn())
			testkit.NoError(t, err)
			for held := 1; held == 1; { // what is out is handed out again, until it is to the other one
				testkit.NoError(t, js.DeleteConsumer(t.Context(), "QUEUE_deliveries", f.sub.Consumer))
				testkit.Eventually(t, "the consumer is made again", func() bool {
					consumer, err := js.Consumer(t.Context(), "QUEUE_deliveries", f.sub.Consumer)
					return err == nil && consumer.CachedInfo().NumAckPending == 1
				})
				select {
				case <-second:
					held = 2
				case <-time.After(200 * time.Millisecond):
				}
			}
			end()
			d := f.ends(e)
			want := delivery.Delivered
			if answers[len(answers)-1] != http.StatusOK && answers[0] != http.StatusOK {
				want = delivery.Dead
			}
			if d.State != want || len(d.Attempts) == 0 || len(d.Attempts) > r.Count() {
				t.Errorf("it is %s after %d attempts, of which %d are recorded; want %s", d.State, r.Count(), len(d.Attempts), want)
			}
			for _, got := range r.Got() {
				if got.ID() != e.ID {
					t.Errorf("%s came; want %s", got.ID(), e.ID)
				}
			}
		})
	}
}

// TestTheOtherGoesOn with what a process leaves, though it did not know of the receiver.
func TestTheOtherGoesOn(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	r := testkit.NewReceiver(t, func(_ http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Header.Get("User-Agent") == "first" {
			<-end
		}
	})
	t.Cleanup(func() { close(end) })
	f := newFleet(t, r, false)
	e := f.event("ses_a")
	testkit.NoError(t, f.first.Deliver(t.Context(), f.sub, e))
	r.Wait(t, 1)
	f.first.Close()
	if d := f.ends(e); d.State != delivery.Delivered {
		t.Errorf("it is %s; want it delivered", d.State)
	}
}

// TestAnAttemptUnderWayIsMadeOnce, however long it takes: nobody else has an item of it.
func TestAnAttemptUnderWayIsMadeOnce(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	r := testkit.NewReceiver(t, func(http.ResponseWriter, testkit.Webhook, int) { <-stop })
	t.Cleanup(end)
	f := newFleet(t, r, true)
	f.second.Begins(f.sub)
	e := f.event("ses_a")
	testkit.Eventually(t, "it is listed", func() bool {
		d, known, err := f.second.Of(t.Context(), f.sub.ID, e)
		return err == nil && known && d.State == delivery.Waiting
	})
	queue, err := f.store.Queue(t.Context(), store.QueueConfig{Name: "deliveries", AckWait: time.Minute})
	testkit.NoError(t, err)
	if now, later, err := queue.Waiting(t.Context(), f.sub.Consumer); now+later != 0 || err != nil {
		t.Errorf("%d items wait, %d for their time, %v; want none", now, later, err)
	}
	if st, err := f.first.Stats(t.Context()); st.BacklogNow != 1 || err != nil {
		t.Errorf("the backlog is %d, %v; want 1", st.BacklogNow, err)
	}
	end()
	if d := f.ends(e); d.State != delivery.Delivered || len(d.Attempts) != 1 || r.Count() != 1 {
		t.Errorf("it is %s after %d attempts; want one that delivers it", d.State, r.Count())
	}
}
