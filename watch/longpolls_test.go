package watch_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/watch"
)

// variant is a question about a session.
func variant(t *testing.T, token string) *session.Variant {
	t.Helper()
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	if err != nil {
		t.Fatal(err)
	}
	match, ok := table.Match([]byte("POST"), []byte("/smartid/sign/status/"+token+".json"))
	var r session.Request
	if !ok || !r.Read(match, session.Incoming{Body: []byte(`{"access_token":"a"}`)}) {
		t.Fatalf("%s is no status request", token)
	}
	return r.Variant()
}

// source is a Refresh that is counted.
type source struct {
	mu    sync.Mutex
	times map[string][]time.Duration // since the first
	began time.Time
	how   func(ctx context.Context) (time.Time, bool)
}

func newSource(how func(context.Context) (time.Time, bool)) *source {
	return &source{times: map[string][]time.Duration{}, began: time.Now(), how: how}
}

func (s *source) refresh(ctx context.Context, v *session.Variant) (time.Time, bool) {
	s.mu.Lock()
	s.times[v.Token] = append(s.times[v.Token], time.Since(s.began))
	s.mu.Unlock()
	return s.how(ctx)
}

func (s *source) asked(token string) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Duration(nil), s.times[token]...)
}

// everySecond is the default, and nobody else polls.
func everySecond(refresh watch.Refresh) watch.LongPollOptions {
	return watch.LongPollOptions{Refresh: refresh}
}

func now(context.Context) (time.Time, bool) { return time.Now(), true }

func TestHeldSessionsAreRefreshedOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(now)
		k := watch.NewLongPolls(everySecond(s.refresh))
		defer k.Close()
		a, b := variant(t, "a"), variant(t, "b")
		var holds []*watch.Hold
		for range 100 {
			holds = append(holds, k.Hold(a))
		}
		holds = append(holds, k.Hold(b))
		time.Sleep(10*time.Second + time.Millisecond)
		for _, token := range []string{"a", "b"} {
			if n := len(s.asked(token)); n != 11 {
				t.Errorf("%s was refreshed %d times in 10s, want 11", token, n)
			}
		}
		if k.Held() != 2 {
			t.Errorf("Held = %d, want 2", k.Held())
		}
		for _, hold := range holds[:100] {
			hold.Release()
		}
		time.Sleep(5 * time.Second)
		if n := len(s.asked("a")); n != 11 {
			t.Errorf("a was refreshed %d times more after its release", n-11)
		}
		if n := len(s.asked("b")); n != 16 {
			t.Errorf("b was refreshed %d times, want 16: it is still held", n)
		}
		holds[100].Release()
		if k.Held() != 0 {
			t.Errorf("Held = %d after all was released", k.Held())
		}
		k.Hold(a).Release()
		k.Hold(a)
		time.Sleep(time.Second + time.Millisecond)
		if n := len(s.asked("a")); n < 13 {
			t.Errorf("held again, a was refreshed %d times, want 13 or more", n)
		}
	})
}

func TestIntervalCountsFromTheObservation(t *testing.T) {
	for _, test := range []struct {
		name string
		how  func(context.Context) (time.Time, bool)
		want time.Duration // between two refreshments
	}{
		{"made now", now, time.Second},
		{"made before, by somebody else", func(context.Context) (time.Time, bool) { return time.Now().Add(-700 * time.Millisecond), true }, 300 * time.Millisecond},
		{"made long ago", func(context.Context) (time.Time, bool) { return time.Now().Add(-time.Hour), true }, 100 * time.Millisecond},
		{"made after a long while", func(context.Context) (time.Time, bool) { time.Sleep(3 * time.Second); return time.Now(), true }, 4 * time.Second},
		{"none", func(context.Context) (time.Time, bool) { return time.Time{}, false }, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSource(test.how)
			k := watch.NewLongPolls(everySecond(s.refresh))
			k.Hold(variant(t, "a"))
			time.Sleep(20*time.Second + time.Millisecond)
			k.Close()
			times := s.asked("a")
			for i := 1; i < len(times); i++ {
				if got := times[i] - times[i-1]; got != test.want {
					t.Fatalf("%s: refreshed after %v, want %v", test.name, got, test.want)
				}
			}
			if len(times) < 5 {
				t.Errorf("%s: refreshed %d times in 20s", test.name, len(times))
			}
		})
	}
}

func TestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(now)
		k := watch.NewLongPolls(everySecond(s.refresh))
		defer k.Close()
		a, b := variant(t, "a"), variant(t, "b")
		first, second, other := k.Hold(a), k.Hold(a.In(1)), k.Hold(b)
		observed := func(state session.State) *session.Observation {
			return &session.Observation{Answer: session.Answer{State: state}}
		}
		told := func(h *watch.Hold) bool {
			select {
			case <-h.News():
				return true
			default:
				return false
			}
		}
		k.Observe(a, observed(session.Pending), false)
		if told(first) || told(second) || told(other) {
			t.Error("pending is no news")
		}
		for range 3 { // nobody receives: it must not block
			k.Observe(a, observed(session.Succeeded), false)
		}
		if !told(first) || !told(second) {
			t.Error("those who hold the session, in any locale, were not told")
		}
		if told(first) || told(other) {
			t.Error("told twice, or told of another session")
		}
		for _, state := range []session.State{session.Refused, session.NotFound, session.Unknown, session.Failed, session.Expired} {
			if k.Observe(a, observed(state), false); !told(first) {
				t.Errorf("%s is news", state)
			}
		}
		first.Release()
		k.Observe(a, observed(session.Succeeded), false)
		if told(first) {
			t.Error("told after the release")
		}
		k.Observe(variant(t, "nobody"), observed(session.Succeeded), false)
	})
}

func TestCloseEndsARefreshment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(func(ctx context.Context) (time.Time, bool) { <-ctx.Done(); return time.Time{}, false })
		k := watch.NewLongPolls(everySecond(s.refresh))
		hold := k.Hold(variant(t, "a"))
		k.Hold(variant(t, "b"))
		synctest.Wait()
		start := time.Now()
		k.Close()
		if time.Since(start) != 0 {
			t.Errorf("Close took %v", time.Since(start))
		}
		hold.Release() // as a request does that ends last
		k.Hold(variant(t, "c")).Release()
	})
}

// TestHeldSessionsTeach: sessions for which one request is held after the other, as clients do, are
// learnt from; they are asked about seldom then, until they are likely to end.
func TestHeldSessionsTeach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		schedule := adaptive(t, nil, "", &testkit.LogBuffer{})
		var k *watch.LongPolls
		began, polls, longest := time.Now(), 0, time.Duration(0)
		var last *session.Observation
		var v *session.Variant
		k = watch.NewLongPolls(watch.LongPollOptions{Schedule: schedule, Refresh: func(context.Context, *session.Variant) (time.Time, bool) {
			polls++
			state := session.Pending
			if time.Since(began) > 30*time.Second {
				state = session.Succeeded
			}
			last = &session.Observation{At: time.Now(), Answer: session.Answer{State: state}}
			k.Observe(v, last, false)
			if state == session.Pending {
				longest = max(longest, k.Fresh(v, last))
			}
			return last.At, true
		}})
		defer k.Close()
		for i := range 100 {
			v, began, polls, longest = variant(t, fmt.Sprint("tok", i)), time.Now(), 0, 0
			for over := false; !over; {
				hold := k.Hold(v)
				select {
				case <-hold.News():
					over = true
				case <-time.After(9 * time.Second):
				}
				hold.Release()
			}
			synctest.Wait()
			switch delay := time.Since(began) - 30*time.Second; {
			case delay > 1500*time.Millisecond:
				t.Errorf("the end of session %d was noticed after %v", i, delay)
			case i == 0 && (polls < 40 || longest > time.Second):
				t.Errorf("nothing is learnt, and there were %d polls, up to %v apart", polls, longest)
			case i == 99 && (polls > 15 || longest < 3*time.Second || longest > 5*time.Second):
				t.Errorf("much is learnt, and there were %d polls, up to %v apart", polls, longest)
			}
			time.Sleep(2 * time.Second)
		}
		if here, _ := schedule.Learnt(v); here != 100 {
			t.Errorf("%v sessions were learnt from, want 100", here)
		}
		if k.Kept() > 10 {
			t.Errorf("%d sessions are remembered though they are over for long", k.Kept())
		}
	})
}

// TestHeldAndGivenUp: a session for which no request is held any more was pending for so long; one that
// is watched, or that another replica looks after, is learnt from there.
func TestHeldAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		schedule := adaptive(t, nil, "", &testkit.LogBuffer{})
		watched, polled := variant(t, "watched"), variant(t, "polled")
		k := watch.NewLongPolls(watch.LongPollOptions{
			Schedule: schedule, Polled: func(v *session.Variant) bool { return v == polled },
			Refresh: func(context.Context, *session.Variant) (time.Time, bool) { return time.Now(), true },
		})
		defer k.Close()
		here, elsewhere, over := observation(session.Pending), observation(session.Pending), observation(session.Succeeded)
		elsewhere.Elsewhere, over.Elsewhere = true, true
		end := observation(session.Succeeded)
		for _, given := range []struct {
			v    *session.Variant
			seen []*session.Observation
		}{
			{variant(t, "up"), []*session.Observation{here, here}},
			{variant(t, "up-elsewhere"), []*session.Observation{elsewhere}},
			{variant(t, "over-elsewhere"), []*session.Observation{here, over}},
			{variant(t, "seen-elsewhere"), []*session.Observation{here, elsewhere}},
			{variant(t, "unseen"), nil},
			{watched, []*session.Observation{here, end}},
			{polled, []*session.Observation{here, here}},
		} {
			hold := k.Hold(given.v)
			synctest.Wait()
			for _, o := range given.seen {
				k.Observe(given.v, o, given.v == watched)
			}
			hold.Release()
		}
		time.Sleep(2 * time.Minute)
		if n, _ := schedule.Learnt(watched); n != 0 {
			t.Errorf("%v sessions were learnt from before they are forgotten", n)
		}
		k.Hold(variant(t, "next")).Release()
		if n, _ := schedule.Learnt(watched); n != 1 {
			t.Errorf("%v sessions were learnt from, want the one that was given up", n)
		}
	})
}

// TestHeldAtAnotherReplica: it counts as a request that is held, for a while; the session is learnt from
// here.
func TestHeldAtAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		schedule := adaptive(t, nil, "", &testkit.LogBuffer{})
		began := 0
		k := watch.NewLongPolls(watch.LongPollOptions{
			Schedule: schedule, Refresh: func(context.Context, *session.Variant) (time.Time, bool) {
				t.Error("who holds the request asks")
				return time.Time{}, false
			},
			Began: func(*session.Variant) { began++ },
		})
		defer k.Close()
		v := variant(t, "a")
		for range 100 { // some minutes may be: clients hold one request after the other
			k.HeldElsewhere(v)
			time.Sleep(time.Second)
			o := observation(session.Pending)
			k.Observe(v, o, false)
			if fresh := k.Fresh(v, o); fresh < 600*time.Millisecond || fresh > 800*time.Millisecond {
				t.Errorf("fresh for %v, want less than a second by the square root of 2", fresh)
			}
		}
		if !k.Waited(v) || k.Holds(v) || k.Held() != 0 || began != 1 {
			t.Errorf("Waited %t, Holds %t, Held %d, began %d", k.Waited(v), k.Holds(v), k.Held(), began)
		}
		k.Observe(v, observation(session.Succeeded), false)
		if n, _ := schedule.Learnt(v); n != 1 {
			t.Errorf("%v sessions were learnt from, want 1", n)
		}
		time.Sleep(10 * time.Second)
		if k.Waited(v) {
			t.Error("it waits for ever")
		}
		time.Sleep(2 * time.Minute)
		k.HeldElsewhere(variant(t, "b"))
		if k.Kept() != 1 {
			t.Errorf("%d sessions are remembered, want 1", k.Kept())
		}
	})
}

// TestFewAreRemembered: however many sessions requests were held for, here and elsewhere.
func TestFewAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		schedule := adaptive(t, nil, "", &testkit.LogBuffer{})
		k := watch.NewLongPolls(watch.LongPollOptions{Schedule: schedule, Refresh: newSource(now).refresh})
		defer k.Close()
		endpoints, _ := session.Dialect("marksign")
		table, err := session.NewTable(endpoints)
		if err != nil {
			t.Fatal(err)
		}
		for i := range watch.MostBetween + 20 {
			v, err := table.Variant("smartid-sign", fmt.Sprint("tok", i), "a", "lt")
			if err != nil {
				t.Fatal(err)
			}
			if i < watch.MostBetween+10 {
				k.HeldElsewhere(v)
			} else {
				k.Hold(v).Release()
			}
		}
		if n := k.Kept(); n > watch.MostBetween+1 {
			t.Errorf("%d are remembered, want %d and one more at most", n, watch.MostBetween)
		}
	})
}

// TestAnotherReplicaSaysWhen: a held session that another one looks after is refreshed when that polls.
func TestAnotherReplicaSaysWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(now)
		k := watch.NewLongPolls(watch.LongPollOptions{Refresh: s.refresh, Serves: func(*session.Variant) (time.Duration, bool) { return 300 * time.Millisecond, true }})
		defer k.Close()
		k.Hold(variant(t, "a"))
		time.Sleep(3*time.Second + time.Millisecond)
		if n := len(s.asked("a")); n != 11 {
			t.Errorf("refreshed %d times in 3s, want 11", n)
		}
	})
}
