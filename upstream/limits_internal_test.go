package upstream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHoldsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h holds
		mine, others, third := caller{1, 10}, caller{2, 20}, caller{3, 30}
		start := time.Now()
		wantLeft := func(at time.Duration, want ...time.Duration) {
			t.Helper()
			time.Sleep(at - time.Since(start))
			for i, who := range []caller{mine, others, third} {
				if got := max(0, h.left(who)); got != want[i] {
					t.Errorf("at %v caller %d is held back for %v; want %v", at, i, got, want[i])
				}
			}
		}
		h.told(mine, 503, 5*time.Second)
		h.told(others, 429, time.Hour)
		wantLeft(0, 5*time.Second, time.Minute, 0)
		wantLeft(4*time.Second, time.Second, 56*time.Second, 0)
		wantLeft(5*time.Second, 0, 55*time.Second, 0)
		h.told(others, 503, 10*time.Second)
		h.told(others, 503, 10*time.Second) // the same again
		h.told(mine, 503, 10*time.Second)
		wantLeft(12*time.Second, 3*time.Second, 48*time.Second, 0)
		h.told(third, 503, 7*time.Second) // the third within ten seconds
		wantLeft(12*time.Second, 7*time.Second, 48*time.Second, 7*time.Second)
		if got := h.left(caller{4, 40}); got != 7*time.Second {
			t.Errorf("the upstream is held back for %v; want 7s", got)
		}
		wantLeft(60*time.Second, 0, 0, 0)
		if len(h.until) > 0 {
			t.Errorf("%d are remembered after their time", len(h.until))
		}
		h.told(mine, 503, time.Second)
		h.told(others, 503, time.Second)
		wantLeft(71*time.Second, 0, 0, 0)
		h.told(third, 503, time.Second) // too late
		wantLeft(71*time.Second, 0, 0, time.Second)
	})
}

func TestHoldsAreBounded(t *testing.T) {
	var h holds
	for i := range uint64(3 * holdMost) {
		h.told(caller{0, i}, 429, time.Minute)
	}
	if len(h.until) > holdMost {
		t.Errorf("%d are remembered; want at most %d", len(h.until), holdMost)
	}
	if h.left(caller{0, 3*holdMost - 1}) <= 0 {
		t.Error("the last one is forgotten")
	}
}

// polls asks a queue for polls of a kind again and again for a while, many at the same
// time, and returns how many were let through and how many not.
func polls(t *testing.T, q *rateQueue, atOnce int, duration time.Duration, client func() <-chan struct{}) (through, refused int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	start := time.Now()
	for range atOnce {
		all.Go(func() {
			for time.Since(start) < duration {
				err := q.wait(t.Context(), client())
				mu.Lock()
				if err == nil {
					through++
				} else {
					refused++
				}
				mu.Unlock()
				time.Sleep(time.Second) // the interval of watches, and of clients
			}
		})
	}
	all.Wait()
	return through, refused
}

func aClient() <-chan struct{} { return nil }

// aWatch gets no client.
func aWatch() <-chan struct{} { return make(chan struct{}) }

// TestClientsGoFirst: many watches do not keep clients out, and clients leave watches a
// fifth.
func TestClientsGoFirst(t *testing.T) {
	for _, c := range []struct {
		name                    string
		watches, clients        int
		clientsLeast, watchMost int
		refused                 bool // of clients
	}{
		{"300 watches", 300, 4, 4 * 40, 700, false},
		{"300 watches and more clients than the rate", 300, 40, 780, 220, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newRateQueue(10)
				defer q.close()
				const seconds = 100
				var both sync.WaitGroup
				var watches, clients, refused int
				both.Go(func() { watches, _ = polls(t, q, c.watches, seconds*time.Second, aWatch) })
				both.Go(func() { clients, refused = polls(t, q, c.clients, seconds*time.Second, aClient) })
				both.Wait()
				if clients < c.clientsLeast || refused > 0 != c.refused {
					t.Errorf("%d polls of clients in %d s were sent, and %d were not; want at least %d", clients, seconds, refused, c.clientsLeast)
				}
				if watches < 2*seconds-2 || watches > c.watchMost+20 {
					t.Errorf("%d polls of watches in %d s; want at least 2 a second and no more than %d", watches, seconds, c.watchMost)
				}
				if all := watches + clients; all > 10*seconds+30 {
					t.Errorf("%d polls in %d s; want 10 a second", all, seconds)
				}
			})
		})
	}
}

// TestWatchBecomesAClients: a client that comes meanwhile goes before other watches.
func TestWatchBecomesAClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newRateQueue(2)
		defer q.close()
		if err := q.wait(t.Context(), nil); err != nil { // the first is free
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		came := make(chan struct{})
		for _, w := range []struct {
			name   string
			client <-chan struct{}
		}{{"first watch", aWatch()}, {"second watch", came}} {
			all.Go(func() {
				if err := q.wait(t.Context(), w.client); err != nil {
					t.Errorf("%s: %v", w.name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, w.name)
			})
			synctest.Wait()
		}
		close(came)
		all.Wait()
		if order[0] != "second watch" {
			t.Errorf("%q; want the second one first, for which a client waits", order)
		}
	})
}

func TestRateQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newRateQueue(0.1)
		defer q.close()
		want := func(what string, ctx context.Context, client <-chan struct{}, after time.Duration) {
			t.Helper()
			start := time.Now()
			err := q.wait(ctx, client)
			failure, ok := errors.AsType[*Failure](err)
			if !ok || failure.Reason != Overload || !failure.NotSent() || time.Since(start) != after {
				t.Errorf("%s: %v after %v; want %s after %v", what, err, time.Since(start), Overload, after)
			}
		}
		if err := q.wait(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var first sync.WaitGroup
		first.Go(func() { want("who waits", t.Context(), nil, queueing) })
		synctest.Wait()
		want("when the queue is full", t.Context(), nil, 0)
		first.Wait()
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { leave(gone) })
		if err := q.wait(ctx, aWatch()); err != gone {
			t.Errorf("who leaves: %v; want the cause", err)
		}
		if q.clients.waiting.Load()+q.watches.waiting.Load() > 0 {
			t.Error("somebody still waits")
		}
	})
}

// TestTimeouts: while the upstream is silent polls wait less, but one session that hangs
// shortens only its own.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const whole, short = 10 * time.Second, time.Second
		silent, other := failed(Timeout, failing, nil), failed(Connection, failing, nil)
		for name, c := range map[string]struct {
			ended []error // of polls of session 1
			two   bool    // the last one is of session 2
			own   time.Duration
			third time.Duration
		}{
			"nothing yet":              {nil, false, whole, whole},
			"silent twice":             {[]error{silent, silent}, true, whole, whole},
			"one session":              {[]error{silent, silent, silent, silent}, false, short, whole},
			"two sessions":             {[]error{silent, silent, silent}, true, short, short},
			"an answer between":        {[]error{silent, silent, nil, silent}, true, whole, whole},
			"a bad answer between":     {[]error{silent, silent, failed(Server, failing, nil), silent}, true, whole, whole},
			"another failure between":  {[]error{silent, silent, other, silent}, true, short, short},
			"bad answers are no wait":  {[]error{failed(Server, failing, nil), failed(Server, failing, nil), failed(Server, failing, nil)}, true, whole, whole},
			"refused by the breaker":   {[]error{silent, silent, silent, notSent(Open, 0, nil)}, false, whole, whole},
			"the client's own failure": {[]error{silent, silent, silent, context.Canceled}, false, short, whole},
		} {
			to := &timeouts{whole: whole, short: short}
			for i, err := range c.ended {
				session := uint64(1)
				if c.two && i == len(c.ended)-1 {
					session = 2
				}
				to.ended(session, err, time.Now(), 0)
			}
			if got := to.next(1, time.Now(), false); got != c.own {
				t.Errorf("%s: the session waits %v; want %v", name, got, c.own)
			}
			if got := to.next(3, time.Now(), false); got != c.third {
				t.Errorf("%s: another one waits %v; want %v", name, got, c.third)
			}
			if got := to.next(3, time.Now(), true); got != short {
				t.Errorf("%s: a probe waits %v; want %v", name, got, short)
			}
		}
		to := &timeouts{whole: whole, short: short}
		for range 8 {
			to.ended(1, nil, time.Now(), 2*time.Second)
		}
		if got := to.next(1, time.Now(), true); got != 8*time.Second {
			t.Errorf("a probe waits %v; want four times what answers take", got)
		}
		// An upstream that came back slower than it was gets its time now and then.
		for range 6 {
			to.ended(1, silent, time.Now(), 0)
		}
		time.Sleep(outageWorthHurry + time.Second)
		if a := to.next(1, time.Now(), false); a != whole {
			t.Errorf("after a long outage a poll waits %v; want %v", a, whole)
		}
		to.ended(1, silent, time.Now(), 0)
		if b := to.next(1, time.Now(), false); b == whole {
			t.Error("after a long outage each poll waits the whole timeout")
		}
	})
}

// TestTally: at least three, a ratio of sessions, by their latest outcome, in a window.
func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name             string
			live             int // sessions whose polls are under way
			healthy, failing int
			unreachable      int
			want             bool
		}{
			{"nothing", 0, 0, 0, 0, false},
			{"one session", 0, 0, 1, 0, false},
			{"two", 0, 0, 2, 0, false},
			{"three", 0, 0, 3, 0, true},
			{"three of fifteen", 12, 0, 3, 0, false},
			{"nine of fifteen", 6, 0, 9, 0, false},
			{"ten of fifteen", 5, 0, 10, 0, true},
			{"half", 0, 5, 5, 0, true},
			{"less than half", 0, 6, 5, 0, false},
			{"one session, and the connection", 0, 0, 1, 2, true},
			{"the connection alone", 0, 0, 0, 3, true},
			{"the connection twice", 0, 0, 0, 2, false},
			{"the connection, while others answer", 0, 20, 0, 3, false},
		} {
			y := newTally(BreakerConfig{Window: 10 * time.Second, MinRequests: 10, FailureRatio: 0.5})
			session := uint64(0)
			times := map[verdict]int{healthy: 3, failing: 3, unreachable: 1}
			add := func(n int, v verdict) {
				for range n {
					session++
					y.note(session, nothing)
					for range times[v] {
						y.note(session, v)
					}
				}
			}
			add(c.live, nothing)
			add(c.healthy, healthy)
			add(c.failing, failing)
			add(c.unreachable, unreachable)
			if got := y.tripped(); got != c.want {
				t.Errorf("%s: tripped %t; want %t", c.name, got, c.want)
			}
			time.Sleep(11 * time.Second)
			if y.tripped() {
				t.Errorf("%s: tripped after the window", c.name)
			}
		}
		y := newTally(BreakerConfig{Window: 10 * time.Second, MinRequests: 1, FailureRatio: 0.5})
		for session := range uint64(3) {
			y.note(session, failing)
			y.note(session, healthy)
		}
		if y.tripped() {
			t.Error("what was before the latest outcome counts")
		}
	})
}

// TestTallyIsBounded, and of very many sessions a part tells as much.
func TestTallyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newTally(BreakerConfig{Window: 10 * time.Second, MinRequests: 5000, FailureRatio: 0.5})
		fare := func(sessions uint64, share int, v verdict) {
			for i := range sessions {
				session := i * 0x9e3779b97f4a7c15 // spread as hashes are
				if y.note(session, nothing); i%10 < uint64(share) {
					y.note(session, v)
				} else {
					y.note(session, healthy)
				}
				if len(y.outcomes) > tallyMost {
					t.Fatalf("%d outcomes are held; want at most %d", len(y.outcomes), tallyMost)
				}
			}
		}
		fare(200_000, 4, failing)
		if y.tripped() {
			t.Error("tripped though two fifths fail")
		}
		fare(200_000, 6, failing)
		if !y.tripped() {
			t.Error("not tripped though three fifths fail")
		}
		if len(y.outcomes) < tallyMost/2 {
			t.Errorf("%d outcomes are held", len(y.outcomes))
		}
		for range 20 { // most of them end
			time.Sleep(2 * time.Second)
			fare(30, 6, failing)
		}
		if live, _, _ := y.count(); !y.tripped() || live != 30 {
			t.Errorf("of 30 sessions %d are counted; want all", live)
		}
		for session := range uint64(3 * tallyMost) {
			y.note(session, unreachable)
		}
		if len(y.outcomes) > tallyMost {
			t.Errorf("%d outcomes are held; want at most %d", len(y.outcomes), tallyMost)
		}
	})
}

func TestVerdictsHaveNames(t *testing.T) {
	for v, want := range map[verdict]string{nothing: "nothing", healthy: "healthy", failing: "failing", unreachable: "unreachable"} {
		if got := v.Error(); got != want {
			t.Errorf("verdict %d is %q; want %s", v, got, want)
		}
	}
}
