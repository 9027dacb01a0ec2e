package cache

import (
	"time"

	"pollbridge/session"
)

// How says how a request was answered, in the words of RFC 9211 and of the metrics.
type How uint8

// The ways in which a request is answered.
const (
	Hit       How = iota + 1 // from memory
	Miss                     // by asking the upstream
	Collapsed                // by waiting for the answer to somebody else's request
	Stale                    // with the last pending answer, because the upstream gave none
)

// Result is an answer to one request. With an error, only How, Asked and Expired say
// something.
type Result struct {
	*session.Observation
	// Made is when the result was made, for telling the observation's age.
	Made time.Time
	How  How
	// Asked means that the upstream was asked while this request waited.
	Asked bool
	// Expired means that an older observation was known, which had to be replaced.
	Expired bool
	// TTL is how much longer the observation is fresh; negative if it is stale.
	TTL time.Duration
	// OtherVariant means that the observation was made of another variant of the
	// session, as the upstream has forgotten the session since.
	OtherVariant bool
	// Err is why a stale observation is given.
	Err error
}

// ttl is how long an observation serves before the upstream is asked again.
func (c Config) ttl(o *session.Observation) time.Duration {
	switch {
	case o.State.Final():
		return c.FinalTTL
	case o.State == session.NotFound, o.CallersFault:
		return c.NotFoundTTL
	}
	return c.PendingTTL
}

// mayServeStale reports whether an observation may be served though it is not
// fresh: a client that is told "waiting" a little too long loses nothing.
func (c Config) mayServeStale(o *session.Observation, now time.Time) bool {
	return o != nil && o.State == session.Pending && o.Age(now) < c.StaleIfError
}

var howNames = [...]string{Hit: "hit", Miss: "miss", Collapsed: "collapsed", Stale: "stale"}

// String returns the name that metrics and logs use.
func (h How) String() string { return howNames[h] }
