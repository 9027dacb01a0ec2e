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
	EventFaultCleared EventKind = "fault cleared" // Fault is no longer on
	EventFaulted      EventKind = "faulted"       // Fault is about to hit a call, of Session if it is a poll
)

// Event is one thing that happened. Session is set for the kinds that speak of one,
// Fault for the kinds that speak of a fault.
type Event struct {
	Kind    EventKind
	Time    time.Time // for EventEnded and EventForgotten, when the session's time came
	Session Session
	Fault   Fault
}

// tellLocked hands an event to the listener under the lock, which keeps events in order.
func (s *Simulator) tellLocked(e Event) {
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(e)
	}
}
