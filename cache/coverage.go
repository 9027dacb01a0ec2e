package cache

import (
	"time"

	"pollbridge/session"
)

func (s *Statuses) coverage() uint64 {
	if s.options.Coverage == nil {
		return 0
	}
	return s.options.Coverage()
}

// covered reports whether Observe was told of what a record answers with since anybody began to want
// to know. What has ended was told when it did.
func (s *Statuses) covered(known *record, result Result) bool {
	return result.State != session.Pending || known.coverage >= s.coverage()
}

// coverAgain tells Observe again of what a flight knows to be fresh, without asking the upstream. It
// reports false where another process has made that: the upstream's place is taken by that one then,
// which knows whether Observe there has to be told.
func (s *Statuses) coverAgain(v *session.Variant, f *flight) bool {
	o := f.known.serving(v.Locale)
	if o.Elsewhere {
		return false
	}
	close(f.notFinal)
	f.loaded = true
	f.erasing.Lock()
	defer f.erasing.Unlock()
	if !f.erased {
		s.observed(v, o)
	}
	return true
}

// tooOld reports whether a flight that has only told Observe again brought what is not enough for
// whoever wants an answer made after a time.
func (f *flight) tooOld(result Result, after time.Time) bool {
	return f.covers && result.State == session.Pending && !result.At.After(after)
}

// covering returns the record as of when Observe was told of it again.
func (r *record) covering(coverage uint64) *record {
	next := *r
	next.coverage = coverage
	return &next
}

// since sets the coverage of a record that was just made, and is not the one before.
func (r *record) since(before *record, coverage uint64) *record {
	if r != before {
		r.coverage = coverage
	}
	return r
}
