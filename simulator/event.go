package simulator

import "time"

// EventKind is what happened.
type EventKind string

// What Config.OnEvent hears about.
const (
	EventStarted      EventKind = "started"       // a session began
	EventPolled       EventKind = "polled"        // a status call arrived for a session
	EventEnded        EventKind = "ended"         // a session has its Outcome
	EventCollected    EventKind = "collected"     // its final answer was given for the first time
	EventForgotten    EventKind = "forgotten"     // its token is unknown from now on
	EventReopened     EventKind = "reopened"      // Finish with Waiting: pending again
	EventFaultSet     EventKind = "fault set"     // Fault is on
	EventFaultCleared EventKind = "fault cleared" // no fault is on
	EventStruck       EventKind = "struck"        // Fault is about to strike a call, of Session if it is a poll
)

// Event is one thing that happened. Session is set for the kinds that speak of
// one, Fault for the kinds that speak of a fault.
type Event struct {
	Kind    EventKind
	Time    time.Time // by Config.Now; for EventEnded, when the session's time came
	Session Session   // a copy, without PollTimes
	Fault   Fault
}

const maxEventsWaiting = 10_000

// noteLocked queues an event; the caller announces after unlocking.
func (s *Simulator) noteLocked(e Event) {
	if s.cfg.OnEvent != nil && len(s.events) < maxEventsWaiting {
		s.events = append(s.events, e)
	}
}

// announce hands the queued events to the listener, outside the lock so that the
// listener may call the Simulator. Whoever comes while another goroutine is at it
// leaves the events to that one, which keeps them in order and makes a call from
// within the listener safe.
func (s *Simulator) announce() {
	if s.cfg.OnEvent == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.announcing {
		return
	}
	s.announcing = true
	defer func() { s.announcing = false }()
	for len(s.events) > 0 {
		batch := s.events
		s.events = nil
		s.tellUnlocked(batch)
	}
}

// tellUnlocked gives up the lock while the listener runs.
func (s *Simulator) tellUnlocked(batch []Event) {
	s.mu.Unlock()
	defer s.mu.Lock()
	for _, e := range batch {
		s.cfg.OnEvent(e)
	}
}
