package watch

import (
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/tracing"
	"pollbridge/watch/due"
)

// entry is one session that is watched, or whose end is not durable yet. All of it is
// guarded by Watcher.mu, except that whoever settles may read what it copied.
type entry struct {
	id string
	record

	revision uint64               // of the record that is stored; 0: none is
	stored   *session.Observation // the pending answer that is stored with it
	done     []done               // while none is
	owed     []change             // events that are not durable yet, in their order
	dirty    bool                 // the record is not stored as it stands
	begins   bool                 // nor that it is watched, which is before anything else
	erased   chan struct{}        // closed when all is erased; nil: nobody erases it
	settling chan struct{}        // closed when whoever settles it has done so; nil: nobody does
	queued   bool                 // it waits to be settled
	passes   bool                 // it had ended when it was first seen
	leaves   bool                 // another replica looks after it, or will
	counted  counted

	observed time.Time // the last observation that was taken note of
	seen     time.Time // the last one that was pending; zero: none was
	missing  time.Time // since when the upstream does not know it; zero: it does
	failures int       // in a row
	failure  failure   // the last of them
	doubted  bool      // a question with further fields was answered that it is over: ask the plain one

	due    time.Time
	wanted time.Time        // when it would be due if the upstream took any number of polls
	since  time.Time        // from when on it waits for that: the last observation, or failure
	turn   due.Turn[*entry] // at that
	out    bool             // a worker has it
	late   time.Duration    // by how much that one began later than was wanted
	waited bool             // a client waited when it was scheduled

	begun *tracing.SpanContext // what has begun the watch; nil: that is not known
}

// change is an event that has to be made.
type change struct {
	kind        string
	state       session.State
	observation *session.Observation
	fileOmitted bool // the observation had a document
	at          time.Time
}

// withoutDocument is a change that takes less memory: it has to wait, and others may, too.
func (c change) withoutDocument() change {
	const small = 64 << 10
	o := c.observation
	if o == nil || o.Content == nil || len(o.Body) < small {
		return c
	}
	rest, omitted, err := session.WithoutFile(o.Body)
	if err != nil || !omitted {
		return c
	}
	slim := *o
	slim.Content = &session.Content{Status: o.Status, Body: rest}
	c.observation, c.fileOmitted = &slim, true
	return c
}

// polls reports whether the session is watched by asking v.
func (e *entry) polls(v *session.Variant) bool {
	return e.end == Watching && e.erased == nil && e.variant.Key() == v.Key()
}

// lived is when the session was seen; over is zero if that was not seen.
func (e *entry) lived(over time.Time) seenTimes { return seenTimes{e.created, e.seen, over} }

// newTurn has an entry be what its turn is of.
func newTurn(e *entry) *entry {
	e.turn.Of = e
	return e
}

// newEntry is of a session that begins to be watched.
func newEntry(id string, r record) *entry {
	return newTurn(&entry{id: id, record: r, begins: true})
}

// note takes note of an observation, and reports whether there is something new about
// the session to be made durable.
func (e *entry) note(v *session.Variant, o *session.Observation, notFoundAfter time.Duration) bool {
	final := o.State.Final()
	switch {
	case e.erased != nil:
		return false
	case !final && !o.At.After(e.observed):
		return false // it is old, and only its end is news
	case o.State != session.Pending && o.State != session.Succeeded && v.Plain() != v:
		// What somebody's further field makes of a session must not end it for others.
		e.doubted = final && e.end == Watching
		return false
	}
	if o.At.After(e.observed) {
		e.observed = o.At
	}
	if o.State == session.Pending {
		e.seen = o.At
	}
	seen := sighting{v, o, o.At}
	switch {
	case final:
		return e.take(sawFinal, seen)
	case o.State == session.NotFound:
		if e.missing.IsZero() {
			e.missing = o.At
		}
		return o.At.Sub(e.missing) >= notFoundAfter && e.take(missed, seen)
	}
	e.missing = time.Time{}
	return o.State == session.Pending && e.take(sawPending, seen) // nobody has described others: they may still become another one
}

// tell has an event say what an input has done. It reports false if there is one that says
// so.
func (e *entry) tell(in input, s sighting) bool {
	c := change{kind: event.TypeOf(e.state), state: e.state, observation: s.o, at: s.at}
	switch in {
	case sawPending:
		if e.announced || len(e.owed) > 0 && e.owed[0].kind == event.TypePending {
			return false
		}
	case passed:
		c.kind = event.TypeAbandoned
	}
	e.owed = append(e.owed, c)
	return true
}

// safe reports whether nothing about the session is lost with the process. A first sight is
// safe with the record: whoever takes that up tells of it.
func (e *entry) safe() bool {
	switch {
	case e.end == Watching && e.begins:
		return false
	case len(e.owed) == 0:
		return true
	}
	return e.end == Watching && len(e.owed) == 1 && e.owed[0].kind == event.TypePending && e.stored != nil && e.stored == e.owed[0].observation
}

// describe is what the management API is told.
func (w *Watcher) describe(id string, r record) Session {
	v := r.variant
	return Session{
		ID: id, Account: w.store.ID("acc_", v.Credential), Endpoint: v.Endpoint.Name, Locale: v.Endpoint.Locales[v.Locale].Name, Token: v.Token,
		State: r.state, End: r.end, Created: r.created, Changed: r.changed, Deadline: r.created.Add(w.cfg.Deadline),
	}
}
