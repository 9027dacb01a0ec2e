package cache_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pollbridge/cache"
	"pollbridge/session"
)

// step is one request of a client: when it comes, what it asks for, and what the
// upstream would answer now.
type step struct {
	wait    time.Duration
	locale  int
	answer  answer
	evicted bool // ristretto forgets before it
}

type answer struct {
	fails     bool
	state     session.State
	localized bool
}

func steps() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			wait:   rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, time.Second, 3 * time.Second, 70 * time.Second}).Draw(t, "wait"),
			locale: rapid.IntRange(0, 2).Draw(t, "locale"),
			answer: answer{
				fails:     rapid.IntRange(0, 3).Draw(t, "fails") == 0,
				state:     rapid.SampledFrom([]session.State{session.Pending, session.Pending, session.NotFound, session.Unknown, session.Succeeded, session.Refused}).Draw(t, "state"),
				localized: rapid.Bool().Draw(t, "localized"),
			},
			evicted: rapid.IntRange(0, 9).Draw(t, "evicted") == 0,
		}
	}), 1, 30)
}

// TestAnyOrderOfAnswers holds against every order of answers, failures, locales and
// evictions what the cache promises.
func TestAnyOrderOfAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := steps().Draw(rt, "steps")
		maxSize := rapid.SampledFrom([]cache.Size{1, 1 << 20}).Draw(rt, "max size")
		var broken error
		synctest.Test(t, func(t *testing.T) { broken = play(t, plan, maxSize) })
		if broken != nil {
			rt.Fatal(broken)
		}
	})
}

// play goes through a plan and returns the first promise that is broken.
func play(t *testing.T, plan []step, maxSize cache.Size) error {
	cfg := config()
	cfg.MaxSize = maxSize
	var now answer
	var asked *session.Observation // by the poll under way; nil if it failed
	polled := false
	p := &poller{answer: func(n int, v *session.Variant) (*session.Observation, error) {
		polled = true
		if now.fails {
			asked = nil
			return nil, errDown
		}
		asked = said(now.state, fmt.Sprint("answer ", n))
		asked.Localized = now.localized
		return asked, nil
	}}
	s := newStatuses(t, cfg, p)
	v := inThreeLocales(t, "t")

	var (
		end    session.State           // of the session, once it is final
		bodies [3]string               // that are final, by locale
		served [3]*session.Observation // the last answer of the upstream to each locale that counted
	)
	failed := time.Now().Add(-time.Hour) // the last poll that brought nothing
	for i, step := range plan {
		time.Sleep(step.wait)
		if step.evicted {
			s.Forget(v[0])
		}
		now, asked, polled = step.answer, nil, false
		last := served[step.locale]
		r, err := get(t.Context(), s, v[step.locale])
		at := fmt.Sprintf("step %d in locale %d: %s", i, step.locale, describe(r, err))

		if polled && time.Since(failed) < cfg.PendingTTL {
			return fmt.Errorf("%s: asked again %v after a failure", at, time.Since(failed))
		}
		if polled && asked == nil {
			failed = time.Now()
		}
		if polled && last != nil && time.Since(last.At) < ttl(cfg, last) && !replaced(served, last) {
			return fmt.Errorf("%s: asked again %v after an answer that is fresh for %v", at, time.Since(last.At), ttl(cfg, last))
		}
		if err != nil {
			if !errors.Is(err, errDown) || time.Since(failed) >= cfg.PendingTTL {
				return fmt.Errorf("%s: an error without a failure", at)
			}
			if end.Final() {
				return fmt.Errorf("%s: an error though the session ended as %s", at, end)
			}
			continue
		}
		if asked != nil && r.Observation == asked {
			served[step.locale] = asked
		}
		if end.Final() && r.State != end {
			return fmt.Errorf("%s: the session had ended as %s", at, end)
		}
		switch {
		case r.How == cache.Stale:
			if r.State != session.Pending || r.Age(time.Now()) >= cfg.StaleIfError || r.Err == nil {
				return fmt.Errorf("%s: stale, %v old, Err %v", at, r.Age(time.Now()), r.Err)
			}
		case !r.State.Final() && r.Age(time.Now()) >= ttl(cfg, r.Observation):
			return fmt.Errorf("%s: %v old and not called stale", at, r.Age(time.Now()))
		case r.How == cache.Miss && !polled:
			return fmt.Errorf("%s: a miss, but the upstream was not asked", at)
		}
		if r.State.Final() {
			end = r.State
		} else if !r.Serves(step.locale) && r.How != cache.Stale {
			return fmt.Errorf("%s: a text in locale %d", at, r.Locale)
		}
		if r.State.Final() && r.Serves(step.locale) {
			if known := bodies[step.locale]; known != "" && known != string(r.Body) {
				return fmt.Errorf("%s: final was %q", at, known)
			}
			bodies[step.locale] = string(r.Body)
		}
	}
	return nil
}

// replaced reports whether a later answer in another locale has put o out of date:
// it holds no text, or says something else.
func replaced(served [3]*session.Observation, o *session.Observation) bool {
	for _, other := range served {
		if other != nil && other != o && !other.At.Before(o.At) && (!other.Localized || !o.Localized || other.State != o.State) {
			return true
		}
	}
	return false
}

func ttl(cfg cache.Config, o *session.Observation) time.Duration {
	switch {
	case o.State.Final():
		return cfg.FinalTTL
	case o.State == session.NotFound:
		return cfg.NotFoundTTL
	}
	return cfg.PendingTTL
}
