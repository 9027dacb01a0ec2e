package store

import (
	"slices"
	"sync"
)

// span knows of the entries that were handed out which are over. The zero value is for a
// follower that was handed none.
type span struct {
	mu   sync.Mutex
	open []*open // in order; the first one is not over. Guarded by mu, as all below
	upTo uint64  // all up to here are over
}

type open struct {
	sequence uint64
	over     bool
}

// begin is told that all up to a sequence are over.
func (s *span) begin(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.upTo = nil, sequence
}

// cut is told that there are no entries after a sequence: they were lost, and others may come in
// their place.
func (s *span) cut(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(o *open) bool { return o.sequence > sequence })
	s.upTo = min(s.upTo, sequence)
	s.advanceLocked()
}

// add adds an entry that is handed out, perhaps once more because that has failed, and returns
// what says that it is over.
func (s *span) add(sequence uint64) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var o *open
	if n := len(s.open); n > 0 && s.open[n-1].sequence == sequence {
		o = s.open[n-1]
	} else {
		o = &open{sequence: sequence}
		s.open = append(s.open, o)
	}
	return func() { s.end(o) }
}

func (s *span) end(o *open) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.over = true
	s.advanceLocked()
}

func (s *span) advanceLocked() {
	for len(s.open) > 0 && s.open[0].over {
		s.upTo = s.open[0].sequence
		s.open = s.open[1:]
	}
}

// over returns the sequence up to which all are.
func (s *span) over() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upTo
}
