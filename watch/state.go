package watch

import (
	"time"

	"pollbridge/session"
)

// input is what can happen to a watch.
type input uint8

const (
	sawPending input = iota // the upstream says that the session is under way
	sawFinal                // it says that the session is over
	missed                  // it does not know the session, and has not for long enough
	passed                  // the deadline has
	registered              // somebody registers the session, perhaps once more
	inputs
)

// step is what an input does to a watch.
type step struct {
	possible bool
	to       End
	tells    bool // an event says so, once
	anew     bool // as if the session was first seen now
}

// steps is all that can happen to a watch, by the state it is in. A session that is erased
// has none any more.
var steps = [...][inputs]step{
	Watching: {
		sawPending: {possible: true, to: Watching, tells: true},
		sawFinal:   {possible: true, to: Final, tells: true},
		missed:     {possible: true, to: NotFound, tells: true},
		passed:     {possible: true, to: Abandoned, tells: true},
	},
	NotFound: { // it may exist after all
		sawPending: {possible: true, to: Watching, tells: true},
		sawFinal:   {possible: true, to: Final, tells: true},
		registered: {possible: true, to: Watching, anew: true},
	},
	Abandoned: { // that somebody polls it is no reason to watch it again
		sawFinal:   {possible: true, to: Final, tells: true},
		registered: {possible: true, to: Watching, anew: true},
	},
	Final: {}, // the first final answer decides
}

// sighting is what an input came with.
type sighting struct {
	v  *session.Variant
	o  *session.Observation // nil where nothing was observed
	at time.Time
}

// done is an input that was taken before the record was stored.
type done struct {
	input
	sighting
}

// mostDone bounds the inputs that are remembered for a record that turns out to be there.
const mostDone = 16

// take does to a watch what an input does, and reports whether there is something new to
// be made durable.
func (e *entry) take(in input, s sighting) (news bool) {
	defer e.recount()
	if e.revision == 0 && len(e.done) < mostDone {
		e.done = append(e.done, done{in, s})
	}
	step := steps[e.end][in]
	if !step.possible {
		return false
	}
	news = e.end != step.to
	e.begins = e.begins || news && step.to == Watching
	e.end = step.to
	switch in {
	case registered:
		e.record = newRecord(s.v, session.Unknown, s.at)
	case sawPending:
		news = e.keepPending(s.v, s.o) || news
		if e.state != session.Pending {
			e.state, e.changed = session.Pending, s.at
		}
	case passed:
		e.changed = s.at
	default:
		e.state, e.changed = s.o.State, s.at
	}
	if in == sawFinal {
		e.variant = s.v // whose answer is kept
	}
	if step.tells && e.tell(in, s) {
		news = true
	}
	e.dirty = e.dirty || news
	return news
}

// meet puts the record that is stored in the place of one that was taken for the first, and
// does to it what was done to that.
func (e *entry) meet(known record, revision uint64) {
	inputs := e.done
	e.record, e.revision = known, revision
	e.stored, e.done, e.owed, e.dirty, e.begins = known.pending, nil, nil, false, false
	e.recount()
	for _, done := range inputs {
		e.take(done.input, done.sighting)
	}
}
