package simulator

import (
	"maps"
	"time"
)

// Stats is what was counted since New or Reset: a copy, which does not change.
type Stats struct {
	Seed uint64 `json:"seed"`

	Starts  int64 `json:"starts"`  // sessions started
	Polls   int64 `json:"polls"`   // status calls, those that a fault hit and those for unknown tokens included
	Calls   int64 `json:"calls"`   // every call of the API: starts, polls and all others
	Faulted int64 `json:"faulted"` // calls that a fault hit

	// Ended counts the sessions that ended, by outcome without its code.
	Ended map[Outcome]int64 `json:"ended"`

	InFlight    int `json:"in_flight"`     // calls of the API under way
	MaxInFlight int `json:"max_in_flight"` // the most at one time
}

// Stats counts everything up to now.
func (s *Simulator) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanceAllLocked()
	stats := s.stats
	stats.Ended = maps.Clone(stats.Ended)
	return stats
}

// Reset forgets every session, sets every count to zero and lifts the fault. Calls under
// way go on and are still counted as in flight. Random choices go on from where they are,
// so that no token comes twice.
func (s *Simulator) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearFaultLocked()
	clear(s.sessions)
	s.byAge = nil
	s.stats = Stats{Seed: s.stats.Seed, Ended: map[Outcome]int64{}, InFlight: s.stats.InFlight, MaxInFlight: s.stats.InFlight}
}

// arrive counts a call in and returns what counts it out.
func (s *Simulator) arrive(c call) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Calls++
	s.stats.InFlight++
	s.stats.MaxInFlight = max(s.stats.MaxInFlight, s.stats.InFlight)
	asked := &session{} // not one that is known
	if c.kind == statusCall {
		s.stats.Polls++
		if known, ok := s.findLocked(c.token); ok {
			asked = known
			asked.Polls++
			asked.inFlight++
			asked.MaxInFlight = max(asked.MaxInFlight, asked.inFlight)
			s.tellLocked(Event{Kind: EventPolled, Time: time.Now(), Session: asked.Session})
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stats.InFlight--
		asked.inFlight--
	}
}
