package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"pollbridge/event"
	replicas "pollbridge/fleet"
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
	said          announcements
	t             *testing.T
	store         *teststore.Store
	events        *event.Log
	sub           *delivery.Subscription
	begin         func(name string) *delivery.Service
	first, second *delivery.Service
}

func newFleet(t *testing.T, r *testkit.Receiver, matches bool, changes ...func(*delivery.Config, *delivery.Options)) *fleet {
	t.Helper()
	f := newFleetOfOne(t, r, matches, changes...)
	f.second = f.begin("second")
	return f
}

// newFleetOfOne is newFleet before the second process begins.
func newFleetOfOne(t *testing.T, r *testkit.Receiver, matches bool, changes ...func(*delivery.Config, *delivery.Options)) *fleet {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	opened := openStore(t)
	shared, err := opened.OpenShared(t.Context(), log)
	testkit.NoError(t, err)
	t.Cleanup(shared.Close)
	cfg, sub := sendingTo(r)
	sub.Keys = func(time.Time) []string { return []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} }
	f := &fleet{t: t, store: opened, events: openEvents(t, shared, log), sub: sub}
	cfg.Retries = []time.Duration{20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond}
	f.begin = func(name string) *delivery.Service {
		options := delivery.Options{
			Store: shared, Events: f.events, Subscriptions: everyone{f.sub, matches}, Log: log,
			Registry: prometheus.NewRegistry(), UserAgent: name, History: time.Hour, Quiet: time.Hour,
			Others: &f.said,
		}
		for _, change := range changes {
			change(&cfg, &options)
		}
		return start(t, cfg, options)
	}
	f.first = f.begin("first")
	return f
}

// announcements are heard by all at once.
type announcements struct {
	mu      sync.Mutex
	hearers []func(replicas.Announcement) // guarded by mu
}

func (a *announcements) Announced(_ string, h func(replicas.Announcement)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hearers = append(a.hearers, h)
}

func (a *announcements) Announce(_ context.Context, _, key string, message []byte, lasts time.Duration) error {
	a.mu.Lock()
	hearers := a.hearers
	a.mu.Unlock()
	for _, h := range hearers {
		h(replicas.Announcement{Key: key, Message: message, At: time.Now(), Left: lasts})
	}
	return nil
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
	f.first.Close(someGrace)
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

// TestABreakerOpensForAll: what one process has found out about a receiver, the others do not try
// for themselves, and one of them finds out that it is well again.
func TestABreakerOpensForAll(t *testing.T) {
	t.Parallel()
	const openFor = time.Second
	r := testkit.NewReceiver(t, testkit.AnswerStatus(http.StatusInternalServerError))
	f := newFleet(t, r, false, func(cfg *delivery.Config, o *delivery.Options) {
		cfg.Concurrency, o.OpenFor = 1, openFor
		cfg.Retries = slices.Repeat([]time.Duration{20 * time.Millisecond}, 100)
	})
	f.second.Begins(f.sub)
	var events []*event.Event
	for i := range 40 {
		events = append(events, f.event(fmt.Sprint("ses_", i)))
		testkit.NoError(t, f.first.Deliver(t.Context(), f.sub, events[i]))
	}
	open := func(s *delivery.Service) bool {
		st, err := s.Stats(t.Context())
		return err == nil && st.OpenBreakers == 1
	}
	testkit.Eventually(t, "both leave it alone", func() bool { return open(f.first) && open(f.second) })
	n := r.Count()
	began := time.Now()
	testkit.Eventually(t, "a while to pass", func() bool { return time.Since(began) > 3*openFor+openFor/2 })
	tried := r.Count() - n
	t.Logf("%d attempts until it was left alone, then %d in three and a half periods", n, tried)
	if tried < 2 || tried > 4 {
		t.Errorf("it was tried %d times in three and a half periods", tried)
	}
	r.Set(testkit.AnswerStatus(http.StatusNoContent))
	for _, e := range events {
		if d := f.ends(e); d.State != delivery.Delivered {
			t.Errorf("it is %s", d.State)
		}
	}
	if open(f.first) || open(f.second) {
		t.Error("one of them still leaves the receiver alone")
	}
}
