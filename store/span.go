package store

import (
	"slices"
	"sync"
)

// span knows of the entries that were handed out which are over. The zero value is for a
// follower that was handed none.
type span struct {
	mu     sync.Mutex
	handed []*handed // in order; the first one is not over. Guarded by mu, as all below
	upTo   uint64    // all up to here are over
}

type handed struct {
	sequence uint64
	over     bool
}

// begin is told that all up to a sequence are over.
func (s *span) begin(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handed, s.upTo = nil, sequence
}

// cut is told that there are no entries after a sequence: they were lost, and others may come in
// their place.
func (s *span) cut(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handed = slices.DeleteFunc(s.handed, func(o *handed) bool { return o.sequence > sequence })
	s.upTo = min(s.upTo, sequence)
	s.advanceLocked()
}

// add adds an entry that is handed out, perhaps once more because that has failed, and returns
// what says that it is over.
func (s *span) add(sequence uint64) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var o *handed
	if n := len(s.handed); n > 0 && s.handed[n-1].sequence == sequence {
		o = s.handed[n-1]
	} else {
		o = &handed{sequence: sequence}
		s.handed = append(s.handed, o)
	}
	return func() { s.end(o) }
}

func (s *span) end(o *handed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.over = true
	s.advanceLocked()
}

func (s *span) advanceLocked() {
	for len(s.handed) > 0 && s.handed[0].over {
		s.upTo = s.handed[0].sequence
		s.handed = s.handed[1:]
	}
}

// over returns the sequence up to which all are.
func (s *span) over() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upTo
}
