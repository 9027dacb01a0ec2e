package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// TestFinalIsForGood: whatever the upstream says later, and whatever ristretto keeps.
func TestFinalIsForGood(t *testing.T) {
	final := []session.State{session.Succeeded, session.Refused, session.Expired, session.Failed}
	for _, maxSize := range []cache.Size{8 << 20, 1} {
		for _, state := range final {
			t.Run(fmt.Sprint(state, " in ", maxSize), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := config()
					cfg.MaxSize = maxSize
					p := inTurn(pending(), said(state, "the end"), notFound(), pending(), errDown, said(session.Unknown, "?"))
					s := newStatuses(t, cfg, p)
					v := question(t, "t", lt)
					want(t, s, v, session.Pending, `{"status":"waiting"}`)
					time.Sleep(time.Second)
					for range 60 {
						want(t, s, v, state, "the end")
						want(t, s, v.In(en), state, "the end")
						time.Sleep(10 * time.Second)
					}
					wantPolls(t, p, 2)
				})
			})
		}
	}
}

// TestFinalSurvivesEviction: ristretto forgets, Finals does not.
func TestFinalSurvivesEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(signed(), notFound())
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		time.Sleep(2 * cache.SweepInterval) // its slot is gone
		for range 3 {
			s.Forget(v)
			if r := want(t, s, v, session.Succeeded, `{"status":"ok"}`); r.How != cache.Hit {
				t.Errorf("what Finals knew was a %s; want a hit", r.How)
			}
			want(t, s, v.In(en), session.Succeeded, `{"status":"ok"}`)
		}
		wantPolls(t, p, 1)
	})
}

// TestFinalsAreKnownFromTheStart is a restart: the store knows what the cache does not.
func TestFinalsAreKnownFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := newFinals()
		v := question(t, "t", lt)
		o := localized(session.Refused, "ne")
		o.At = time.Now()
		if err := known.Keep(t.Context(), v, o); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		p := inTurn(localized(session.Refused, "no"), notFound())
		s := newStatuses(t, config(), p, with(known))
		r := want(t, s, v, session.Refused, "ne")
		if r.How != cache.Hit || r.TTL != 15*time.Minute || r.Age(time.Now()) != 5*time.Minute {
			t.Errorf("%s, TTL %v, %v old; want a hit, fresh for 15m, 5m old", r.How, r.TTL, r.Age(time.Now()))
		}
		wantPolls(t, p, 0)
		want(t, s, v.In(en), session.Refused, "no")
		want(t, s, v, session.Refused, "ne")
		wantPolls(t, p, 1)
	})
}

// TestFinalsOutlastTheCache: memory is kept for final_ttl; what the store still has
// after that is final all the same.
func TestFinalsOutlastTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.FinalTTL = time.Minute
		s := newStatuses(t, cfg, inTurn(signed(), notFound()), with(&testkit.Finals{Retain: 15 * time.Minute}))
		v := question(t, "t", lt)
		for range 13 {
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
			time.Sleep(time.Minute + time.Second)
		}
	})
}

// TestKeptBeforeAnybodyIsAnswered is the order that makes promise 2 possible.
func TestKeptBeforeAnybodyIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stored, answered, told atomic.Bool
		known := newFinals()
		known.hook = func(*session.Observation) {
			time.Sleep(3 * time.Second) // a slow disk
			if answered.Load() {
				t.Error("somebody was answered before the final observation was stored")
			}
			stored.Store(true)
		}
		s := newStatuses(t, config(), inTurn(pending(), signed()), with(known), func(o *cache.Options) {
			o.Observe = func(_ *session.Variant, o *session.Observation) {
				if o.State.Final() && !stored.Load() {
					t.Error("a final observation was observed before it was stored")
				}
				told.Store(true)
			}
		})
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		time.Sleep(time.Second)
		for range 10 {
			go func() {
				for {
					r, err := get(t.Context(), s, v)
					if err != nil {
						t.Error(err)
						return
					}
					if r.State.Final() {
						answered.Store(true)
						if !stored.Load() || !told.Load() {
							t.Error("answered a final observation that was not stored or observed")
						}
						return
					}
				}
			}()
		}
		time.Sleep(10 * time.Second)
		if known.count() != 1 {
			t.Errorf("the final observation was stored %d times; want once", known.count())
		}
	})
}

func TestBrokenStoreStillAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := newFinals()
		broken.fail = errors.New("no space left")
		var kept []error
		var unkept cache.Unkept
		p := inTurn(signed(), notFound())
		s := newStatuses(t, config(), p, with(broken), func(o *cache.Options) {
			o.Kept, o.Unkept = func(err error) { kept = append(kept, err) }, &unkept
		})
		v := question(t, "t", lt)
		for range 5 {
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
			time.Sleep(time.Minute)
		}
		if len(kept) != 1 || !errors.Is(kept[0], broken.fail) {
			t.Errorf("Kept was told %v; want the failure once", kept)
		}
		r, err := get(t.Context(), s, v)
		if err != nil {
			t.Fatal(err)
		}
		asked := func(other *session.Variant) bool { return other.Key() == v.Key() }
		closest := func(asked func(*session.Variant) bool) *session.Observation {
			o, _ := unkept.Closest(r.At.Add(time.Minute), asked)
			return o
		}
		if unkept.Count() != 1 || closest(asked) != r.Observation {
			t.Error("the answer is not among those that could not be stored")
		}
		if closest(func(*session.Variant) bool { return false }) != nil {
			t.Error("another answer is among those that could not be stored")
		}
	})
}

// TestStoredAfterAll: what could not be stored is, as soon as that is possible, unless it was
// erased or its time is over.
func TestStoredAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := newFinals()
		broken.fail = errors.New("no space left")
		var kept []error
		s := newStatuses(t, config(), inTurn(signed(), signed(), signed()), with(broken), func(o *cache.Options) {
			o.Kept = func(err error) { kept = append(kept, err) }
			o.Retain = time.Minute
		})
		for _, token := range []string{"old", "erased", "kept"} {
			if token != "old" {
				time.Sleep(20 * time.Second)
			}
			want(t, s, question(t, token, lt), session.Succeeded, `{"status":"ok"}`)
		}
		s.Erase(question(t, "erased", lt))
		time.Sleep(30 * time.Second) // the first one has been kept for long enough
		broken.set(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := broken.count(); n != 1 {
			t.Errorf("%d answers were stored; want one", n)
		}
		if got, err := broken.Load(t.Context(), question(t, "kept", lt)); err != nil || len(got) != 1 {
			t.Errorf("Load = %d, %v; want the answer", len(got), err)
		}
		if len(kept) != 4 || kept[3] != nil {
			t.Errorf("Kept was told %v; want three failures and that one is stored", kept)
		}
	})
}

// TestBrokenStoreAndNoRoom: the slot is then all that holds the document.
func TestBrokenStoreAndNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := newFinals()
		broken.fail = errors.New("no space left")
		cfg := config()
		large := said(session.Succeeded, strings.Repeat("d", 2*int(cfg.MaxSize)))
		s := newStatuses(t, cfg, inTurn(large, notFound()), with(broken))
		v := question(t, "t", lt)
		for range 5 {
			if r, err := get(t.Context(), s, v); err != nil || !bytes.Equal(r.Body, large.Body) {
				t.Fatalf("Get = %v, %v; want the document", r.State, err)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestLargerThanTheCache: a document that ristretto has no room for is served by Finals.
func TestLargerThanTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		large := said(session.Succeeded, strings.Repeat("d", 2*int(cfg.MaxSize)))
		p := inTurn(pending(), large, notFound())
		s := newStatuses(t, cfg, p)
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		time.Sleep(time.Second)
		for range 5 {
			if r, err := get(t.Context(), s, v); err != nil || !bytes.Equal(r.Body, large.Body) {
				t.Fatalf("Get = %v, %v; want the document", r.State, err)
			}
			time.Sleep(1700 * time.Millisecond)
		}
		wantPolls(t, p, 2)
	})
}

func TestEachNewObservationIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		p := inTurn(pending(), errDown, notFound(), localized(session.Refused, "ne"), localized(session.Refused, "no"), notFound())
		s := newStatuses(t, config(), p, func(o *cache.Options) {
			o.Observe = func(v *session.Variant, o *session.Observation) {
				told = append(told, fmt.Sprint(v.Locale, " ", o.State))
			}
		})
		v := question(t, "t", lt)
		// Between two sweeps: one that comes before ristretto has a final record leaves
		// it to Finals, from where it is told again.
		time.Sleep(500 * time.Millisecond)
		for range 4 {
			get(t.Context(), s, v)
			time.Sleep(3 * time.Second)
		}
		get(t.Context(), s, v.In(en))
		want(t, s, v, session.Refused, "ne")
		want(t, s, v.In(en), session.Refused, "no")
		if got, want := strings.Join(told, ", "), "0 pending, 0 not_found, 0 refused, 1 refused"; got != want {
			t.Errorf("was told %s; want %s", got, want)
		}
	})
}
