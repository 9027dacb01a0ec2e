package simulator

// Stats is what was counted since New or Reset: a copy, which does not change.
type Stats struct {
	Seed uint64 `json:"seed"`

	Starts         int64 `json:"starts"`          // sessions started
	StartsRejected int64 `json:"starts_rejected"` // start calls answered with a caller's error
	Polls          int64 `json:"polls"`           // status calls, faulted ones and those for unknown tokens included
	Calls          int64 `json:"calls"`           // every call of the API: starts, polls and all others
	Faulted        int64 `json:"faulted"`         // calls struck by a fault
	Redirected     int64 `json:"redirected"`      // requests that followed a redirect fault

	// Ended counts the sessions that ended, by outcome without its code.
	Ended map[Outcome]int64 `json:"ended"`

	Sessions int   `json:"sessions"` // in memory, forgotten ones that can be inspected included
	Waiting  int   `json:"waiting"`  // of these, not ended
	Evicted  int64 `json:"evicted"`  // forgotten because of Config.MaxSessions

	InFlight    int `json:"in_flight"`     // calls of the API under way
	MaxInFlight int `json:"max_in_flight"` // the most at one time

	Fault Fault `json:"fault"` // the one that is on; its Mode is None without one
}

// counts is guarded by Simulator.mu.
type counts struct {
	starts, startsRejected, polls, calls, faulted, redirected int64

	ended                 map[Outcome]int64
	inFlight, maxInFlight int
}

func newCounts() counts { return counts{ended: make(map[Outcome]int64)} }

// Stats counts everything up to now.
func (s *Simulator) Stats() Stats {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	c := s.counts
	stats := Stats{
		Seed: s.cfg.Seed, Starts: c.starts, StartsRejected: c.startsRejected, Polls: c.polls, Calls: c.calls,
		Faulted: c.faulted, Redirected: c.redirected, Ended: make(map[Outcome]int64, len(c.ended)),
		Sessions: len(s.table.byToken), Evicted: s.table.evicted,
		InFlight: c.inFlight, MaxInFlight: c.maxInFlight, Fault: s.fault.withDefaults(),
	}
	for outcome, n := range c.ended {
		stats.Ended[outcome] = n
	}
	for _, held := range s.table.byToken {
		if held.State == Waiting {
			stats.Waiting++
		}
	}
	return stats
}

// Reset forgets every session and upload, sets every count to zero and lifts the
// fault. Calls under way go on and are still counted as in flight. Random choices
// go on from where they are, so that no token comes twice.
func (s *Simulator) Reset() {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearFaultLocked(s.settleLocked())
	s.table.clear()
	s.documents = documents{}
	inFlight := s.counts.inFlight
	s.counts = newCounts()
	s.counts.inFlight, s.counts.maxInFlight = inFlight, inFlight
}

// arrive counts a call in and returns what counts it out.
func (s *Simulator) arrive(c call) func() {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settleLocked()
	s.counts.calls++
	s.counts.inFlight++
	s.counts.maxInFlight = max(s.counts.maxInFlight, s.counts.inFlight)
	asked := s.arrivePollLocked(c)
	if asked != nil {
		asked.arrive(now)
		s.noteLocked(Event{Kind: EventPolled, Time: now, Session: asked.brief()})
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts.inFlight--
		if asked != nil {
			asked.inFlight--
		}
	}
}

// arrivePollLocked returns the session that is polled, nil if none is.
func (s *Simulator) arrivePollLocked(c call) *session {
	if c.kind != statusCall {
		return nil
	}
	s.counts.polls++
	return s.table.byToken[c.id]
}
