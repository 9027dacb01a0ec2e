package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// TestErase: nothing is answered any more that was known before, from wherever it was
// remembered.
func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(signed(), notFound())
		memory := newFinals()
		s := newStatuses(t, config(), p, with(memory))
		v := question(t, "t", lt)
		for _, settled := range []time.Duration{0, 2 * cache.SweepInterval} {
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
			time.Sleep(settled) // its slot is gone
			memory.Finals = &testkit.Finals{Retain: time.Hour}
			s.Erase(v)
			if r, ok := s.Fresh([]byte(v.Key()), lt); ok {
				t.Errorf("%v after the end it is still answered with %q", settled, r.Body)
			}
			want(t, s, v.In(en), session.NotFound, "not found")
			s.Erase(v)
			p.answer = inTurn(signed(), notFound()).answer
			p.polls = nil
		}
	})
}

// TestEraseThose: of those sessions nothing is answered any more, whatever was asked; of others all is.
func TestEraseThose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(signed(), signed(), pending())
		s := newStatuses(t, config(), p)
		gone, left, unfinished := question(t, "gone", lt), question(t, "left", lt), question(t, "unfinished", lt)
		want(t, s, gone, session.Succeeded, `{"status":"ok"}`)
		want(t, s, left, session.Succeeded, `{"status":"ok"}`)
		want(t, s, unfinished, session.Pending, `{"status":"waiting"}`)
		s.EraseThose(func(key string) bool { return session.SessionKey(key) == session.SessionKey(gone.Key()) })
		for v, known := range map[*session.Variant]bool{gone: false, left: true, unfinished: true} {
			if _, ok := s.Fresh([]byte(v.Key()), lt); ok != known {
				t.Errorf("%s is answered: %v, want %v", v.Token, ok, known)
			}
		}
	})
}

// TestWhatFinalsGivesBackIsObserved: the process may have been killed before anybody
// was told.
func TestWhatFinalsGivesBackIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newFinals()
		v := question(t, "t", lt)
		o := signed()
		o.At = time.Now()
		if err := memory.Keep(t.Context(), v, o); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var told []session.State
		p := inTurn(errDown)
		s := newStatuses(t, config(), p, with(memory), func(options *cache.Options) {
			options.Observe = func(_ *session.Variant, o *session.Observation) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, o.State)
			}
		})
		for range 3 {
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 1 || told[0] != session.Succeeded {
			t.Errorf("told of %v; want the end, once", told)
		}
	})
}

// TestErasedWhileAsked: what was under way brings its answer to who waits for it, and nothing
// else: not to memory, nor to Finals, nor to whoever wants to know.
func TestErasedWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []session.State
		memory := newFinals()
		answer := pollFunc(func(*session.Variant) (*session.Observation, error) {
			time.Sleep(time.Second)
			o := signed()
			o.At = time.Now()
			return o, nil
		})
		s := newStatuses(t, config(), answer, with(memory), func(options *cache.Options) {
			options.Observe = func(_ *session.Variant, o *session.Observation) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, o.State)
			}
		})
		v := question(t, "t", lt)
		answered := make(chan cache.Result)
		go func() {
			r, _ := s.Get(t.Context(), v)
			answered <- r
		}()
		time.Sleep(time.Millisecond)
		s.Erase(v)
		if r := <-answered; r.Observation == nil || r.State != session.Succeeded {
			t.Errorf("who waited is answered %+v", r)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if r, ok := s.Fresh([]byte(v.Key()), lt); ok || len(told) > 0 || memory.count() > 0 {
			t.Errorf("what was erased is answered (%t, %v), told of (%v), kept (%d times)", ok, r.State, told, memory.count())
		}
	})
}

// TestErasedBeforeAsked: a watch's poll that waits to be sent is not sent any more. Who asks as a
// client is answered, whether the session was erased before or after.
func TestErasedBeforeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admitted, asked := make(chan struct{}), 0
		s := newStatuses(t, config(), waitingPoller(func(ctx context.Context) (*session.Observation, error) {
			select {
			case <-admitted:
				asked++
				o := pending()
				o.At = time.Now()
				return o, nil
			case <-ctx.Done():
				time.Sleep(time.Millisecond) // whoever asks now joins it
				return nil, context.Cause(ctx)
			}
		}))
		v := question(t, "t", lt)
		watched, answered := make(chan error, 1), make(chan error, 2)
		ask := func() {
			_, err := s.Get(t.Context(), v)
			answered <- err
		}
		go func() {
			_, err := s.Refresh(t.Context(), v, time.Time{})
			watched <- err
		}()
		synctest.Wait()
		s.Erase(v)
		go ask()
		time.Sleep(time.Second)
		s.Erase(v)
		go ask()
		time.Sleep(time.Second)
		select {
		case err := <-watched:
			if err == nil {
				t.Error("the watch has got an answer")
			}
		default:
			t.Error("the watch still waits")
		}
		close(admitted)
		for range 2 {
			testkit.NoError(t, <-answered)
		}
		if asked != 1 {
			t.Errorf("the upstream was asked %d times; want once, for both clients", asked)
		}
	})
}

// waitingPoller is a Poller that waits.
type waitingPoller func(context.Context) (*session.Observation, error)

func (f waitingPoller) Poll(ctx context.Context, _ *session.Variant, _ session.PollOptions) (*session.Observation, error) {
	return f(ctx)
}
