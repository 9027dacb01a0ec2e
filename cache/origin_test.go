package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/internal/testkit"
	"pollbridge/session"
)

// corsPoller answers each origin with its own fields.
type corsPoller struct {
	answer func(origin string) (*session.Observation, error)

	mu      sync.Mutex
	origins []string // of the polls; guarded by mu
}

func (p *corsPoller) Poll(_ context.Context, _ *session.Variant, o session.PollOptions) (*session.Observation, error) {
	p.mu.Lock()
	p.origins = append(p.origins, o.Origin)
	p.mu.Unlock()
	answer, err := p.answer(o.Origin)
	var unsent interface{ NotSent() bool }
	if o.Origin != "" && !errors.As(err, &unsent) {
		o.CORS([]session.Field{{Name: []byte("Access-Control-Allow-Origin"), Value: []byte(o.Origin)}})
	}
	if answer != nil {
		answer.At = time.Now()
	}
	return answer, err
}

func (p *corsPoller) asked(t *testing.T, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.origins, want) {
		t.Errorf("the upstream was asked for the origins %q; want %q", p.origins, want)
	}
}

func answering(o func() *session.Observation) *corsPoller {
	return &corsPoller{answer: func(string) (*session.Observation, error) { return o(), nil }}
}

const shop, desk = "https://shop.example", "https://desk.example"

func allowed(s *cache.Statuses, v *session.Variant, origin string) string {
	fields, known := s.CORS(v, origin)
	switch {
	case !known:
		return "unknown"
	case len(fields) == 0:
		return "none"
	}
	return string(fields[0].Value)
}

func TestOriginWaitsForTheNextWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := answering(pending)
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		start := time.Now()
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		if r, err := s.GetFor(t.Context(), v, shop); err != nil || r.State != session.Pending || time.Since(start) != time.Second {
			t.Errorf("GetFor = %s after %v; want pending after the window", describe(r, err), time.Since(start))
		}
		p.asked(t, "", shop)
		if got := allowed(s, v, shop); got != shop {
			t.Errorf("the origin is allowed %s; want itself", got)
		}
		// What is known is answered at once, from memory.
		if r, err := s.GetFor(t.Context(), v, shop); err != nil || r.How != cache.Hit {
			t.Errorf("GetFor = %s; want a hit", describe(r, err))
		}
		// The fields are for other sessions of the same caller, too, but for nobody else.
		for _, c := range []struct{ token, body, origin, want string }{
			{"u", `{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c"}`, shop, shop},
			{"t", `{"access_token":"another"}`, shop, "unknown"},
			{"t", `{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c"}`, desk, "unknown"},
		} {
			if got := allowed(s, variantOf(t, v.Endpoint, c.token, c.body), c.origin); got != c.want {
				t.Errorf("%s with %s and %s is allowed %s; want %s", c.origin, c.token, c.body, got, c.want)
			}
		}
		time.Sleep(10 * time.Minute)
		if got := allowed(s, v, shop); got != "unknown" {
			t.Errorf("after ten minutes the origin is allowed %s; want unknown", got)
		}
	})
}

// TestOriginsThatWaitGoFirst: each window's poll is for an origin that waits, also if a client
// without one comes first.
func TestOriginsThatWaitGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := answering(pending)
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		var waiting sync.WaitGroup
		waiting.Go(func() { s.GetFor(t.Context(), v, shop) })
		synctest.Wait()
		time.Sleep(time.Second)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		waiting.Wait()
		p.asked(t, "", shop)
	})
}

// TestFinalAndANewOrigin: one poll is made to learn the fields, and what it says is
// ignored.
func TestFinalAndANewOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := answering(func() *session.Observation {
			if n++; n == 1 {
				return signed()
			}
			return notFound()
		})
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		for range 3 {
			if r, err := s.GetFor(t.Context(), v, shop); err != nil || r.State != session.Succeeded || r.How != cache.Hit {
				t.Errorf("GetFor = %s; want the final answer", describe(r, err))
			}
		}
		p.asked(t, "", shop)
		if got := allowed(s, v, shop); got != shop {
			t.Errorf("the origin is allowed %s; want itself", got)
		}
	})
}

func TestFinalAndANewOriginWhileTheUpstreamIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := &corsPoller{answer: func(string) (*session.Observation, error) {
			if n++; n == 1 {
				return signed(), nil
			}
			return nil, errNotSent
		}}
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		for range 10 {
			if r, err := s.GetFor(t.Context(), v, shop); err != nil || r.State != session.Succeeded {
				t.Errorf("GetFor = %s; want the final answer", describe(r, err))
			}
		}
		p.asked(t, "", shop)
		if got := allowed(s, v, shop); got != "none" {
			t.Errorf("the origin is allowed %s; want nothing, for a window", got)
		}
		time.Sleep(time.Second)
		s.GetFor(t.Context(), v, shop)
		p.asked(t, "", shop, shop)
	})
}

// answered is what the upstream said that is no observation.
type answered struct{ error }

func (answered) Answered() bool { return true }

// TestAnswersForOneOrigin: what the upstream says to a page of one origin, and is no
// observation, nobody else is told; but the window is kept.
func TestAnswersForOneOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forbidden := fmt.Errorf("poll: %w", answered{errors.New("403")})
		p := &corsPoller{answer: func(origin string) (*session.Observation, error) {
			if origin == shop {
				return nil, forbidden
			}
			return pending(), nil
		}}
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		for range 3 {
			if r, err := s.GetFor(t.Context(), v, shop); !errors.Is(err, forbidden) {
				t.Errorf("GetFor = %s; want what the upstream said", describe(r, err))
			}
		}
		start := time.Now()
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		if took := time.Since(start); took != time.Second {
			t.Errorf("somebody else was answered after %v; want the end of the window", took)
		}
		p.asked(t, shop, "")
		if got := allowed(s, v, shop); got != shop {
			t.Errorf("the origin is allowed %s; want itself, with errors too", got)
		}
	})
}

func TestOriginsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatuses(t, config(), answering(pending))
		v := question(t, "t", lt)
		for i := range 1100 {
			s.GetFor(t.Context(), v, fmt.Sprint("https://", i, ".example"))
		}
		known := 0
		for i := range 1100 {
			if _, ok := s.CORS(v, fmt.Sprint("https://", i, ".example")); ok {
				known++
			}
		}
		if known > 1000 || known == 0 {
			t.Errorf("knows %d origins; want some, at most 1000", known)
		}
	})
}

// TestClientTakesOverTheWatch: a poll that a watch began is a client's once one waits.
func TestClientTakesOverTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan session.PollOptions, 1)
		s := newStatuses(t, config(), optionsPoller(func(o session.PollOptions) (*session.Observation, error) {
			begun <- o
			time.Sleep(time.Second)
			return pending(), nil
		}))
		v := question(t, "t", lt)
		go s.Refresh(t.Context(), v, time.Time{})
		o := <-begun
		synctest.Wait()
		select {
		case <-o.Client:
			t.Error("the poll is a client's before one came")
		default:
		}
		go s.Get(t.Context(), v)
		synctest.Wait()
		select {
		case <-o.Client:
		default:
			t.Error("the poll is still a watch's although a client waits")
		}
	})
}

type optionsPoller func(session.PollOptions) (*session.Observation, error)

func (f optionsPoller) Poll(_ context.Context, _ *session.Variant, o session.PollOptions) (*session.Observation, error) {
	answer, err := f(o)
	if answer != nil {
		answer.At = time.Now()
	}
	return answer, err
}

// TestOtherVariant: a session that the upstream has forgotten is answered with what it
// said to another variant of it, and with nothing else.
func TestOtherVariant(t *testing.T) {
	gone := func(status int) *session.Observation {
		o := notFound()
		o.Status = status
		return o
	}
	refused := localized(session.Unknown, "no such caller")
	refused.CallersFault = true
	for _, c := range []struct {
		name  string
		says  *session.Observation
		fails bool // Finals does
		want  session.State
	}{
		{"not found", gone(404), false, session.Succeeded},
		{"not found with 200", gone(200), false, session.Succeeded},
		{"not found with 401", gone(401), false, session.NotFound},
		{"not found with 403", gone(403), false, session.NotFound},
		{"bad credential", refused, false, session.Unknown},
		{"the store fails", gone(404), true, session.NotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := newFinals()
				v := question(t, "t", lt)
				other := variantOf(t, v.Endpoint, "t", `{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c","page":1}`)
				final := signed()
				final.At = time.Now()
				if err := kept.Finals.Keep(t.Context(), other, final); err != nil {
					t.Fatal(err)
				}
				if c.fails {
					kept.fail = errDown
				}
				var told []session.State
				p := inTurn(c.says)
				s := newStatuses(t, config(), p, with(kept), func(o *cache.Options) {
					o.Observe = func(_ *session.Variant, o *session.Observation) { told = append(told, o.State) }
				})
				for range 2 { // from the upstream, and from memory
					r, err := get(t.Context(), s, v)
					if err != nil || r.State != c.want || r.OtherVariant != (c.want == session.Succeeded) {
						t.Errorf("Get = %s, other variant: %v; want %s", describe(r, err), r.OtherVariant, c.want)
					}
				}
				wantPolls(t, p, 1)
				if !slices.Equal(told, []session.State{c.want}) {
					t.Errorf("was told of %v; want %v: a session that has ended is not one that was never there", told, c.want)
				}
				time.Sleep(2 * time.Second)
				get(t.Context(), s, v)
				wantPolls(t, p, 2) // the final answer is not v's own
			})
		})
	}
}

// variantOf makes the variant that a body asks for.
func variantOf(t testing.TB, e *session.Endpoint, token, body string) *session.Variant {
	t.Helper()
	var r session.Request
	if !r.Read(session.Match{Endpoint: e, Token: []byte(token)}, session.Incoming{Body: []byte(body)}) {
		t.Fatalf("%s is no status request", body)
	}
	return r.Variant()
}

// TestRetain: memory gives a final answer no longer than it is retained, counted from
// when it was made, also if it came from the store.
func TestRetain(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprint("stored: ", stored), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const retain = 4 * time.Second
				kept := &testkit.Finals{Retain: retain}
				v := question(t, "t", lt)
				start := time.Now()
				p := inTurn(signed(), said(session.Succeeded, "again"))
				o := func(o *cache.Options) { o.Retain, o.Finals = retain, kept }
				s := newStatuses(t, config(), p, o)
				want(t, s, v, session.Succeeded, `{"status":"ok"}`)
				if stored {
					s = newStatuses(t, config(), p, o)
				}
				time.Sleep(3 * time.Second)
				r := want(t, s, v, session.Succeeded, `{"status":"ok"}`)
				if left := retain - time.Since(start); r.TTL != left {
					t.Errorf("TTL is %v; want %v", r.TTL, left)
				}
				time.Sleep(time.Second)
				want(t, s, v, session.Succeeded, "again")
				wantPolls(t, p, 2)
			})
		})
	}
}

// TestPendingOfBefore: what was known before a restart is served while the upstream fails, and
// never instead of asking it.
func TestPendingOfBefore(t *testing.T) {
	before := func(o *session.Observation) func(*cache.Options) {
		return func(options *cache.Options) {
			options.Pending = func(*session.Variant) *session.Observation { return o }
		}
	}
	synctest.Test(t, func(t *testing.T) {
		p := inTurn(errDown)
		v := question(t, "t", lt)
		old := said(session.Pending, "as before")
		old.At = time.Now().Add(-time.Hour)
		s := newStatuses(t, config(), p, before(old))
		start := time.Now()
		for n := 1; time.Since(start) < 2*time.Minute; n++ {
			if r := want(t, s, v, session.Pending, "as before"); r.How != cache.Stale {
				t.Fatalf("after %v: %s; want stale", time.Since(start), r.How)
			}
			wantPolls(t, p, n)
			time.Sleep(time.Second)
		}
		if r, err := get(t.Context(), s, v); err == nil {
			t.Errorf("after stale_if_error: %s; want the failure", describe(r, err))
		}
	})
	t.Run("final was stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			kept := newFinals()
			v := question(t, "t", lt)
			final := signed()
			final.At = time.Now()
			kept.Finals.Keep(t.Context(), v, final)
			p := inTurn(errDown)
			s := newStatuses(t, config(), p, with(kept), before(pending()))
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
			wantPolls(t, p, 0)
		})
	})
	t.Run("newer is known", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newStatuses(t, config(), inTurn(signed()), before(pending()))
			v := question(t, "t", lt)
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		})
	})
}

// TestVariantsOfAOneShotAnswer: whichever variant gets it, and however they overlap, all of
// them are answered with it.
func TestVariantsOfAOneShotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := question(t, "t", lt)
		variants := []*session.Variant{v}
		for i := range 5 {
			variants = append(variants, variantOf(t, v.Endpoint, "t", fmt.Sprintf(`{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c","page":%d}`, i)))
		}
		slow := newFinals()
		slow.hook = func(*session.Observation) { time.Sleep(300 * time.Millisecond) }
		began := time.Now()
		var taken atomic.Bool
		s := newStatuses(t, config(), pollFunc(func(v *session.Variant) (*session.Observation, error) {
			o := pending()
			switch {
			case time.Since(began) < time.Second:
			case taken.CompareAndSwap(false, true):
				o = signed()
			default:
				o = notFound()
			}
			o.At = time.Now()
			time.Sleep(50 * time.Millisecond)
			return o, nil
		}), with(slow))
		for time.Since(began) < 4*time.Second {
			var all sync.WaitGroup
			for _, v := range variants {
				all.Go(func() {
					if r, err := get(t.Context(), s, v); err != nil || r.State == session.NotFound {
						t.Errorf("after %v: %s; want pending, or the final answer", time.Since(began), describe(r, err))
					}
				})
				time.Sleep(20 * time.Millisecond)
			}
			all.Wait()
			time.Sleep(130 * time.Millisecond)
		}
	})
}

// TestNotFoundUntilAnotherVariantIsAnswered: what was remembered as not found is answered
// as soon as another variant got the final answer.
func TestNotFoundUntilAnotherVariantIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := question(t, "t", lt)
		other := variantOf(t, v.Endpoint, "t", `{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c","page":1}`)
		p := inTurn(notFound(), signed(), errDown)
		s := newStatuses(t, config(), p)
		want(t, s, v, session.NotFound, "not found")
		want(t, s, other, session.Succeeded, `{"status":"ok"}`)
		if r := want(t, s, v, session.Succeeded, `{"status":"ok"}`); !r.OtherVariant {
			t.Error("it is not said that the answer is another variant's")
		}
		wantPolls(t, p, 2)
	})
}

// TestNotFoundWhileAnotherVariantHangs: the store is asked once nobody waits for that one any more.
func TestNotFoundWhileAnotherVariantHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := question(t, "t", lt)
		variant := func(page int) *session.Variant {
			return variantOf(t, v.Endpoint, "t", fmt.Sprintf(`{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c","page":%d}`, page))
		}
		answered, hanging := variant(1), variant(2)
		kept := newFinals()
		final := signed()
		final.At = time.Now()
		testkit.NoError(t, kept.Finals.Keep(t.Context(), answered, final))
		s := newStatuses(t, config(), &poller{answer: func(_ int, asked *session.Variant) (*session.Observation, error) {
			if asked == hanging {
				time.Sleep(10 * time.Second)
				return pending(), nil
			}
			return notFound(), nil
		}}, with(kept))
		go get(t.Context(), s, hanging)
		synctest.Wait()
		if r := want(t, s, v, session.Succeeded, `{"status":"ok"}`); !r.OtherVariant {
			t.Error("it is not said that the answer is another variant's")
		}
	})
}

// TestWhatAnotherVariantGotOutlastsAnOutage once it was told.
func TestWhatAnotherVariantGotOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := question(t, "t", lt)
		other := variantOf(t, v.Endpoint, "t", `{"access_token":"c7a1a0b4-2b7e-4f0e-9d6e-6f1d2f3a4b5c","page":1}`)
		s := newStatuses(t, config(), inTurn(signed(), notFound(), errDown))
		want(t, s, other, session.Succeeded, `{"status":"ok"}`)
		for range 10 {
			want(t, s, v, session.Succeeded, `{"status":"ok"}`)
			time.Sleep(1500 * time.Millisecond)
		}
	})
}

// TestOriginsInAnOutage: an answer that is no observation and says nothing about origins
// takes nothing back.
func TestOriginsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		s := newStatuses(t, config(), optionsPoller(func(o session.PollOptions) (*session.Observation, error) {
			if down {
				o.CORS(nil)
				return nil, errDown
			}
			o.CORS([]session.Field{{Name: []byte("Access-Control-Allow-Origin"), Value: []byte(o.Origin)}})
			return pending(), nil
		}))
		v := question(t, "t", lt)
		for range 5 {
			if _, err := s.GetFor(t.Context(), v, shop); err != nil || allowed(s, v, shop) != shop {
				t.Errorf("%v, and the origin is allowed %s; want itself", err, allowed(s, v, shop))
			}
			time.Sleep(time.Second)
			down = true
		}
	})
}

// TestManyOriginsOfAFinalAnswer cost no more than a poll a window.
func TestManyOriginsOfAFinalAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := answering(signed)
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		want(t, s, v, session.Succeeded, `{"status":"ok"}`)
		var pages sync.WaitGroup
		start := time.Now()
		for i := range 300 {
			pages.Go(func() {
				if r, err := s.GetFor(t.Context(), v, fmt.Sprint("https://", i, ".example")); err != nil || r.State != session.Succeeded {
					t.Errorf("GetFor = %s; want the final answer", describe(r, err))
				}
			})
		}
		pages.Wait()
		if took := time.Since(start); took > 2*time.Second || len(p.origins) > 4 {
			t.Errorf("%d polls for 300 origins in %v; want one a window", len(p.origins)-1, took)
		}
	})
}

// TestOtherLanguageInAnOutage is better than none.
func TestOtherLanguageInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatuses(t, config(), inTurn(localized(session.Pending, "laukiama"), errDown))
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, "laukiama")
		want(t, s, v.In(en), session.Pending, "laukiama")
	})
}
