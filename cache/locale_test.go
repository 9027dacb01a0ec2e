package cache_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
)

// inLocale answers each locale its own text.
func inLocale(state session.State) func(int, *session.Variant) (*session.Observation, error) {
	return func(_ int, v *session.Variant) (*session.Observation, error) {
		return localized(state, fmt.Sprintf("text %d", v.Locale)), nil
	}
}

func TestOneAnswerServesEveryLocaleIfItHoldsNoText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := always(pending)
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		want(t, s, v, session.Pending, `{"status":"waiting"}`)
		if r := want(t, s, v.In(en), session.Pending, `{"status":"waiting"}`); r.How != cache.Hit {
			t.Errorf("the other locale was a %s; want a hit", r.How)
		}
		wantPolls(t, p, 1)
	})
}

func TestTextsAreAskedForPerLocale(t *testing.T) {
	for _, state := range []session.State{session.Pending, session.Refused, session.NotFound} {
		t.Run(state.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &poller{answer: inLocale(state)}
				s := newStatuses(t, config(), p)
				v := question(t, "t", lt)
				for range 3 {
					want(t, s, v, state, "text 0")
					want(t, s, v.In(en), state, "text 1")
				}
				wantPolls(t, p, 2)
			})
		})
	}
}

// TestWaitersInTwoLocales: both wait for one request, whose text serves one of them.
func TestWaitersInTwoLocales(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &poller{answer: inLocale(session.Refused), takes: time.Second}
		s := newStatuses(t, config(), p)
		v := question(t, "t", lt)
		for range 5 {
			go want(t, s, v, session.Refused, "text 0")
			go want(t, s, v.In(en), session.Refused, "text 1")
		}
		time.Sleep(3 * time.Second)
		wantPolls(t, p, 2)
		if p.mostAtOnce() > 1 {
			t.Error("two requests were in flight for one question")
		}
	})
}

// TestNotRememberedTextsInTwoLocales: nobody goes round in circles where answers
// are not kept.
func TestNotRememberedTextsInTwoLocales(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.NotFoundTTL = 0
		p := &poller{answer: inLocale(session.NotFound), takes: time.Second}
		s := newStatuses(t, cfg, p)
		v := question(t, "t", lt)
		for range 5 {
			go want(t, s, v, session.NotFound, "text 0")
			go want(t, s, v.In(en), session.NotFound, "text 1")
		}
		time.Sleep(10 * time.Second)
		if n := p.count(); n < 2 || n > 4 {
			t.Errorf("10 clients in two locales made %d requests; want 2 or a few more", n)
		}
	})
}

// TestTheOneTextServesAllWhenTheOtherCannotBeAsked: the upstream answered the
// document once, in Lithuanian, and then says that it knows no such session, or fails.
func TestTheOneTextServesAllWhenTheOtherCannotBeAsked(t *testing.T) {
	for _, c := range []struct {
		name  string
		later any
	}{
		{"not found", localized(session.NotFound, "not found")},
		{"not found without a text", said(session.NotFound, "404")},
		{"pending again", pending()},
		{"another end", localized(session.Failed, "failed")},
		{"failure", errDown},
		{"not sent", errNotSent},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStatuses(t, config(), inTurn(localized(session.Succeeded, "pasirašyta"), c.later))
				v := question(t, "t", lt)
				want(t, s, v, session.Succeeded, "pasirašyta")
				for range 3 {
					want(t, s, v.In(en), session.Succeeded, "pasirašyta")
					want(t, s, v, session.Succeeded, "pasirašyta")
					time.Sleep(time.Second)
				}
			})
		})
	}
}

// TestOldTextOfAYoungerFinal: the text in one locale is older than final_ttl, that
// in another is not. Whoever asks for the old one gets an answer, and the upstream is
// asked at most once for it.
func TestOldTextOfAYoungerFinal(t *testing.T) {
	for _, c := range []struct {
		name  string
		later *session.Observation
	}{
		{"it is there still", localized(session.Refused, "text 0")},
		{"it is gone", localized(session.NotFound, "not found")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &poller{answer: func(n int, v *session.Variant) (*session.Observation, error) {
					switch {
					case n <= 2:
						return inLocale(session.Refused)(n, v)
					case n > 10:
						return nil, errDown // ends what would go on for minutes
					}
					later := *c.later
					return &later, nil
				}, takes: 10 * time.Millisecond}
				s := newStatuses(t, config(), p)
				v := question(t, "t", lt)
				want(t, s, v, session.Refused, "text 0")
				time.Sleep(10 * time.Minute)
				want(t, s, v.In(en), session.Refused, "text 1")
				time.Sleep(5*time.Minute + time.Second)
				want(t, s, v, session.Refused, "text 0")
				if n := p.count(); n > 3 {
					t.Errorf("the upstream was asked %d times; want 3 at most", n)
				}
			})
		})
	}
}

// TestFinalTextStaysThoughALaterOneHasNone: a document that was answered once must
// not be lost to a later, shorter answer in another locale.
func TestFinalTextStaysThoughALaterOneHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatuses(t, config(), inTurn(localized(session.Succeeded, "document and text"), said(session.Succeeded, "no document")))
		v := question(t, "t", lt)
		want(t, s, v, session.Succeeded, "document and text")
		if _, err := get(t.Context(), s, v.In(en)); err != nil {
			t.Fatal(err)
		}
		want(t, s, v, session.Succeeded, "document and text")
	})
}

// TestThreeLocales: when the third cannot be asked any more, the two that are known
// keep their texts.
func TestThreeLocales(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &poller{answer: func(n int, v *session.Variant) (*session.Observation, error) {
			if n > 2 {
				return localized(session.NotFound, "not found"), nil
			}
			return inLocale(session.Refused)(n, v)
		}}
		s := newStatuses(t, config(), p)
		v := inThreeLocales(t, "t")
		want(t, s, v[0], session.Refused, "text 0")
		want(t, s, v[1], session.Refused, "text 1")
		if r, err := get(t.Context(), s, v[2]); err != nil || r.State != session.Refused {
			t.Errorf("the third locale: %s; want a text in another one", describe(r, err))
		}
		want(t, s, v[0], session.Refused, "text 0")
		want(t, s, v[1], session.Refused, "text 1")
		wantPolls(t, p, 3)
	})
}
