package session

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

// verdict is what one documented error code says.
type verdict uint8

const (
	undocumented verdict = iota
	endsRefused
	endsExpired
	endsFailed
	isNotFound
	isCallersFault
	isTransient
)

// codes is the table of error codes that the vendor documents.
var codes = map[int]verdict{
	40001: isCallersFault, // some request parameters are invalid
	40002: isCallersFault, // undocumented, between documented ones
	40003: isCallersFault, // invalid access token
	40004: isCallersFault, // phone number has an incorrect format
	40005: isCallersFault, // person code has an incorrect format
	40020: endsRefused,    // the user refused
	40021: endsExpired,    // the user did not confirm in time
	40022: endsFailed,     // document corrupted
	40401: endsFailed,     // user account not found
	40402: isNotFound,     // session for the given token was not found
	40403: endsFailed,     // account is not qualified
	40801: endsExpired,    // timeout while acquiring the certificate
	50000: isTransient,    // trouble in the service
	50001: isTransient,    // technical error
	50002: isTransient,    // cannot connect
	50003: endsFailed,     // not authorised to use the service
	50004: endsFailed,     // client configuration incorrect
}

func (v verdict) state() State {
	switch v {
	case endsRefused:
		return Refused
	case endsExpired:
		return Expired
	case endsFailed:
		return Failed
	case isNotFound:
		return NotFound
	}
	return Unknown
}
