package cache

import (
	"time"

	"pollbridge/session"
)

// record is what is known about one question: the newest observation and, where
// answers hold texts for people, those in other locales that say the same. It is
// immutable.
type record struct {
	key    string
	newest *session.Observation
	others []*session.Observation
	// other is the final answer to another variant of a session that the upstream has
	// forgotten: it is served instead.
	other *session.Observation
	// loaded is when Finals gave a final record back, since the cache began; 0 for what was observed here.
	// It is fresh from then on, as long as final answers are retained.
	loaded time.Duration
	// fresh is for how long newest serves while it is pending, where that is not what Config says.
	fresh time.Duration
	// coverage is what Options.Coverage said before Observe was told of newest.
	coverage uint64
	// restored means that the record comes from before a restart: it is served where the
	// upstream fails, and never fresh.
	restored bool
	// complete means that no other locale can be had any more: the upstream has
	// forgotten the session, so what there is serves every locale.
	complete bool
}

// with returns the record that also knows o.
//
// Once final, a record only learns what its state means in locales that nothing
// serves yet. When an answer in such a locale is not that final one, there is none
// to be had any more.
func (r *record) with(key string, o *session.Observation) *record {
	if r == nil {
		return &record{key: key, newest: o}
	}
	if !r.newest.State.Final() {
		next := &record{key: key, newest: o}
		next.keepOthers(r)
		return next
	}
	if r.serving(int(o.Locale)) != nil {
		return r
	}
	next := *r
	if o.State == r.newest.State {
		next.others = append(next.others[:len(next.others):len(next.others)], o)
	} else {
		next.complete = true
	}
	return &next
}

// orOlder returns the record that knows o, if there is nothing newer.
func (r *record) orOlder(key string, o *session.Observation) *record {
	if r != nil && !r.newest.At.Before(o.At) {
		return r
	}
	return r.with(key, o)
}

// keepOthers takes over what older says in other locales, if that is the same.
func (r *record) keepOthers(older *record) {
	if !r.newest.Localized {
		return
	}
	for o := range older.all {
		if o.Localized && o.Locale != r.newest.Locale && o.State == r.newest.State {
			r.others = append(r.others, o)
		}
	}
}

func (r *record) all(yield func(*session.Observation) bool) {
	if !yield(r.newest) {
		return
	}
	for _, o := range r.others {
		if !yield(o) {
			return
		}
	}
}

// serving returns the observation that answers for a locale, or nil.
func (r *record) serving(locale int) *session.Observation {
	if r == nil {
		return nil
	}
	if r.other != nil {
		return r.other
	}
	for o := range r.all {
		if o.Serves(locale) {
			return o
		}
	}
	if r.complete {
		return r.newest
	}
	return nil
}

// final returns a final observation in whatever locale, or nil.
func (r *record) final() *session.Observation {
	if r == nil || !r.newest.State.Final() {
		return nil
	}
	return r.newest
}

// pendingAt is when this process last heard that the session is pending; zero if it did not, or has heard
// something else since.
func (r *record) pendingAt() time.Time {
	if r == nil || r.restored || r.newest.State != session.Pending {
		return time.Time{}
	}
	return r.newest.At
}

// left is how much longer an observation of a record is fresh. A final record ages as a
// whole, and one with the answer to another variant as what the upstream said itself.
func (s *Statuses) left(r *record, o *session.Observation, now time.Time) time.Duration {
	switch {
	case r.restored:
		return 0
	case !r.newest.State.Final():
		if o == r.other {
			o = r.newest
		}
		return s.ttl(r, o) - o.Age(now)
	}
	fresh := s.leftOfFinal(r.newest, now)
	if r.loaded > 0 {
		fresh = s.retained(s.cfg.FinalTTL-max(0, now.Sub(s.began)-r.loaded), r.newest, now)
	}
	return fresh
}

// ttl is how long an observation of a record that is not final serves.
func (s *Statuses) ttl(r *record, o *session.Observation) time.Duration {
	if r.fresh > 0 && o.State == session.Pending {
		return r.fresh
	}
	return s.cfg.ttl(o)
}

// leftOfFinal is how much longer a final observation is given from memory.
func (s *Statuses) leftOfFinal(o *session.Observation, now time.Time) time.Duration {
	return s.retained(s.cfg.FinalTTL-o.Age(now), o, now)
}

func (s *Statuses) retained(fresh time.Duration, o *session.Observation, now time.Time) time.Duration {
	if s.options.Retain > 0 {
		fresh = min(fresh, s.options.Retain-o.Age(now))
	}
	return fresh
}

// useful is how much longer the record is of any use: fresh, or served though stale.
func (s *Statuses) useful(r *record, now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	if r.other != nil {
		return s.leftOfFinal(r.other, now)
	}
	if r.newest.State == session.Pending {
		return max(s.ttl(r, r.newest), s.cfg.StaleIfError) - r.newest.Age(now)
	}
	return s.left(r, r.newest, now)
}

// cost is about how many bytes of memory the record takes.
func (r *record) cost() int64 {
	bytes := int64(recordOverhead + len(r.key))
	for o := range r.all {
		bytes += observationOverhead
		if !o.Shared {
			bytes += int64(o.Content.Size())
		}
	}
	return bytes
}

const (
	recordOverhead      = 235 // with what ristretto keeps about it: see BenchmarkMemory
	observationOverhead = 100
)
