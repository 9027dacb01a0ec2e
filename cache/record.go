package cache

import (
	"pollbridge/session"
)

// record is what is known about one question: the newest observation and, where
// answers are localised, those in other locales that say the same. It is immutable.
type record struct {
	key    string
	newest *session.Observation
	others []*session.Observation
}

// with returns the record that also knows o.
//
// A final observation stays. When a later answer in another locale is not final,
// the upstream has forgotten the session: the one answer there is then has to serve
// every locale.
func (r *record) with(key string, o *session.Observation) *record {
	if r == nil {
		return &record{key: key, newest: o}
	}
	if r.newest.State.Final() && r.serving(o.Locale) != nil {
		return r
	}
	if r.newest.State.Final() && o.State != r.newest.State {
		return r.servingAll()
	}
	next := &record{key: key, newest: o}
	if !o.Localized {
		return next
	}
	for other := range r.all {
		if other.Localized && other.Locale != o.Locale && other.State == o.State {
			next.others = append(next.others, other)
		}
	}
	return next
}

func (r *record) servingAll() *record {
	if !r.newest.Localized {
		return r
	}
	everybodys := *r.newest
	everybodys.Localized = false
	return &record{key: r.key, newest: &everybodys}
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
	for o := range r.all {
		if o.Serves(locale) {
			return o
		}
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

// cost is about how many bytes of memory the record takes.
func (r *record) cost() int64 {
	bytes := int64(recordOverhead + len(r.key))
	for o := range r.all {
		bytes += observationOverhead
		if len(o.Body) > sharedBody { // smaller ones are mostly shared
			bytes += int64(len(o.Body))
		}
	}
	return bytes
}

const (
	recordOverhead      = 200 // with what ristretto keeps about it; measured by BenchmarkMemory
	observationOverhead = 100
	sharedBody          = 1 << 10
)
