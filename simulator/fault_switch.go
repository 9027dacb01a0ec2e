package simulator

import (
	"fmt"
	"time"
)

// activeFault is the fault that is on, with its end and a channel that is closed
// when it is lifted, for the calls it holds. Guarded by Simulator.mu.
type activeFault struct {
	Fault
	since  time.Time
	lifted chan struct{}
}

// struck is what one call has to know of the fault that strikes it.
type struck struct {
	fault  Fault
	strike strike
	lifted <-chan struct{}
	ends   time.Duration // until the fault lifts itself; 0 if it does not
}

// SetFault switches a fault on in place of the one before it, whose held calls
// are dropped. A fault with mode None is ClearFault. The error is f's Validate.
func (s *Simulator) SetFault(f Fault) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("simulator: fault: %w", err)
	}
	f = f.withDefaults()
	if f.Mode == None {
		s.ClearFault()
		return nil
	}
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setFaultLocked(f, s.settleLocked())
	return nil
}

// ClearFault lifts the fault; calls held by a hang have their connection dropped.
// Without a fault it does nothing.
func (s *Simulator) ClearFault() {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearFaultLocked(s.settleLocked())
}

// Fault returns the fault that is on, with its defaults filled in; its Mode is
// None without one.
func (s *Simulator) Fault() Fault {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	return s.fault.withDefaults()
}

func (s *Simulator) setFaultLocked(f Fault, now time.Time) {
	if s.fault.lifted != nil {
		close(s.fault.lifted)
	}
	s.fault = activeFault{Fault: f, since: now, lifted: make(chan struct{})}
	s.noteLocked(Event{Kind: EventFaultSet, Time: now, Fault: f})
}

func (s *Simulator) clearFaultLocked(now time.Time) {
	if s.fault.lifted == nil {
		return
	}
	close(s.fault.lifted)
	cleared := s.fault.Fault
	s.fault = activeFault{}
	s.noteLocked(Event{Kind: EventFaultCleared, Time: now, Fault: cleared})
}

func (s *Simulator) expireFaultLocked(now time.Time) {
	if end := s.fault.since.Add(s.fault.Duration); s.fault.Duration > 0 && !now.Before(end) {
		s.clearFaultLocked(end)
	}
}

// askedLocked is the session that c polls, the zero Session if there is none.
func (s *Simulator) askedLocked(c call) Session {
	asked, ok := s.table.byToken[c.id]
	if !ok || c.kind != statusCall {
		return Session{}
	}
	return asked.brief()
}

// strikes decides whether the fault that is on strikes this call.
func (s *Simulator) strikes(c call) (struck, bool) {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settleLocked()
	f := s.fault
	if f.lifted == nil || f.Scope == ScopeStatus && c.kind != statusCall {
		return struck{}, false
	}
	if f.Probability < 1 && s.chances.Float64() >= f.Probability {
		return struck{}, false
	}
	s.counts.faulted++
	s.noteLocked(Event{Kind: EventStruck, Time: now, Fault: f.Fault, Session: s.askedLocked(c)})
	hit := struck{fault: f.Fault, lifted: f.lifted}
	hit.strike, _ = strikeOf(f.Mode)
	if f.Duration > 0 {
		hit.ends = f.since.Add(f.Duration).Sub(now)
	}
	return hit, true
}
