package event

import (
	"slices"
	"time"

	"pollbridge/session"
	"pollbridge/tracing"
)

// The types of events.
const (
	TypePending   = "session.pending"
	TypeSucceeded = "session.succeeded"
	TypeRefused   = "session.refused"
	TypeExpired   = "session.expired"
	TypeFailed    = "session.failed"
	TypeNotFound  = "session.not_found"
	TypeAbandoned = "session.abandoned"

	// Operational events: only subscriptions that name them get them.
	TypeFailing  = "subscription.failing"
	TypeDisabled = "subscription.disabled"
	TypeTest     = "webhook.test" // sent when it is asked for, and not in the log
)

var sessionTypes = []string{TypePending, TypeSucceeded, TypeRefused, TypeExpired, TypeFailed, TypeNotFound, TypeAbandoned}

// Types returns all types of events: those of sessions first.
func Types() []string {
	return slices.Concat(sessionTypes, []string{TypeFailing, TypeDisabled, TypeTest})
}

// IsOfSession reports whether events of a type are about sessions.
func IsOfSession(eventType string) bool { return slices.Contains(sessionTypes, eventType) }

// TypeOf returns the type of the event that says that a session is in a state, which is
// not Unknown: there is none for that.
func TypeOf(s session.State) string { return "session." + s.String() }

// Subject is what an event is about, as far as subscriptions filter by it.
type Subject struct {
	Session  string // ses_…
	Endpoint string // its name
	Account  string // acc_…, a keyed hash of its credential
}

// Change is one change of state of one session.
type Change struct {
	Subject
	Token, Locale string
	Type          string // TypePending to TypeAbandoned
	State         session.State
	// Observation is what shows the change; nil where there is none.
	Observation *session.Observation
	FileOmitted bool      // the observation had a document, which was left out
	At          time.Time // when it was seen
}

// at is the change with its times by a clock that is so far ahead.
func (c Change) at(ahead time.Duration) Change {
	c.At = c.At.Add(ahead)
	if c.Observation != nil && ahead != 0 {
		o := *c.Observation
		o.At = o.At.Add(ahead)
		c.Observation = &o
	}
	return c
}

// poll is the span of what shows the change, nil if none is known.
func (c Change) poll() *tracing.SpanContext {
	if c.Observation == nil {
		return nil
	}
	return c.Observation.Poll
}
