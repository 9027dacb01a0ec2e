package cache_test

import (
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
