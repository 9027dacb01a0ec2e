package session

import "slices"

// State is what is known about a signing. The zero value is Unknown.
type State uint8

// The states of a session. Unknown, Pending and NotFound are not final: a later
// answer may replace them.
const (
	Unknown   State = iota // an answer that nobody has described yet
	Pending                // under way: the person has not answered
	Succeeded              // signed
	Refused                // the person said no
	Expired                // the person did not answer in time
	Failed                 // ended for another reason
	NotFound               // the upstream does not know the token (too early, too late, or wrong)
)

var stateNames = [...]string{"unknown", "pending", "succeeded", "refused", "expired", "failed", "not_found"}

// String returns the name that logs, metrics and events use.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return stateNames[Unknown]
}

// StateNamed returns the state with a name, Unknown if there is none. What is stored
// names states, as their numbers may change.
func StateNamed(name string) State { return State(max(0, slices.Index(stateNames[:], name))) }

// Final reports whether a session in this state will never change again.
func (s State) Final() bool {
	switch s {
	case Succeeded, Refused, Expired, Failed:
		return true
	}
	return false
}

// CodeTechnicalError is the documented code for "cannot connect": what clients of
// this family of APIs are told when the upstream cannot be asked.
const CodeTechnicalError = 50002

// meaning is what one documented error code says.
type meaning struct {
	state                   State
	callersFault, transient bool
}

// codes is the table of error codes that the vendor documents.
var codes = map[int]meaning{
	40001: {callersFault: true}, // some request parameters are invalid
	40002: {callersFault: true}, // undocumented, between documented ones
	40003: {callersFault: true}, // invalid access token
	40004: {callersFault: true}, // phone number has an incorrect format
	40005: {callersFault: true}, // person code has an incorrect format
	40020: {state: Refused},     // the user refused
	40021: {state: Expired},     // the user did not confirm in time
	40022: {state: Failed},      // document corrupted
	40401: {state: Failed},      // user account not found
	40402: {state: NotFound},    // session for the given token was not found
	40403: {state: Failed},      // account is not qualified
	40801: {state: Expired},     // timeout while acquiring the certificate
	50000: {transient: true},    // trouble in the service
	50001: {transient: true},    // technical error
	50002: {transient: true},    // cannot connect
	50003: {state: Failed},      // not authorised to use the service
	50004: {state: Failed},      // client configuration incorrect
}
