package watch_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
	return watch.LongPollOptions{Config: watch.DefaultConfig(), Refresh: refresh}
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
		k.Observe(a, observed(session.Pending))
		if told(first) || told(second) || told(other) {
			t.Error("pending is no news")
		}
		for range 3 { // nobody receives: it must not block
			k.Observe(a, observed(session.Succeeded))
		}
		if !told(first) || !told(second) {
			t.Error("those who hold the session, in any locale, were not told")
		}
		if told(first) || told(other) {
			t.Error("told twice, or told of another session")
		}
		for _, state := range []session.State{session.Refused, session.NotFound, session.Unknown, session.Failed, session.Expired} {
			if k.Observe(a, observed(state)); !told(first) {
				t.Errorf("%s is news", state)
			}
		}
		first.Release()
		k.Observe(a, observed(session.Succeeded))
		if told(first) {
			t.Error("told after the release")
		}
		k.Observe(variant(t, "nobody"), observed(session.Succeeded))
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
