package transfer

import "slices"

// part is a stream that is moved.
type part struct{ stream, label string }

// parts are the streams that are moved, in the order in which those of a store in use have to be
// read: how far the log was followed, what waits because of that, what became of it, the sessions,
// the log, and what all these refer to. So:
//   - an event that was followed is in the queue, or its record says how it ended;
//   - an item that is no more in the queue is over in its record;
//   - an event that a record names is in the log;
//   - a session that ended in its record has its last event in the log;
//   - the answer that an event tells of is there.
//
// A session that begins meanwhile may be in the log only.
var parts = []part{
	{followers, "progress"},
	{"QUEUE_deliveries", "waiting deliveries"},
	{"TABLE_dead", "dead deliveries"},
	{"TABLE_deliveries", "deliveries"},
	{"TABLE_sessions", "sessions"},
	{"TABLE_schedule", "when sessions end"},
	{"JOURNAL_events", "events"},
	{"FINALS", "final answers"},
	{"TABLE_subscriptions", "subscriptions"},
	{"TABLE_outcomes", "outcomes of attempts"},
}

// followers is how far the log was followed. A store that was never used may have it.
const followers = "OWN_followers"

// left are the streams that are not moved: what says how things are at the moment at a server, or
// is found out anew.
var left = []string{
	"ENGINE", "TRIAL", // of the connections
	"OWN_own",      // keys: the file says what of it matters
	"TABLE_fleet",  // who is there
	"TABLE_logins", // who is logged in
	"TABLE_marks",  // which first sights are events: that follows from the events
}

func partOf(stream string) (part, bool) {
	i := slices.IndexFunc(parts, func(p part) bool { return p.stream == stream })
	if i < 0 {
		return part{}, false
	}
	return parts[i], true
}
