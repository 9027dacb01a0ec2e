package watch

import (
	"slices"
	"time"

	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/store"
)

// entry is one session that is watched, or whose end is not durable yet. All of it is
// guarded by Watcher.mu, except that whoever settles may read what it copied.
type entry struct {
	id string
	record

	// What is not durable yet, in the order in which it is made so.
	loaded  bool // what the store knows of the session was looked up
	queued  bool // there is an item in the queue
	changes []change
	dirty   bool // the record is not stored as it stands

	item      *store.Item   // nil until it was handed out
	restart   bool          // watch it once more, should its watch have ended
	stopped   bool          // there is nothing left to do for it but to end its item
	finishing bool          // its item is being done
	settling  chan struct{} // closed when whoever settles it has done so; nil: nobody does

	observed time.Time // the last observation that was taken note of
	missing  time.Time // since when the upstream does not know it; zero: it does
	failures int       // in a row
	doubted  bool      // a question with further fields was answered that it is over: ask the plain one

	due   time.Time
	place int  // in dueTimes; -1: not there
	out   bool // a worker has it
}

// change is an event that has to be made.
type change struct {
	kind        string
	state       session.State
	observation *session.Observation
	at          time.Time
}

func newEntry(id string, r record) *entry {
	return &entry{id: id, record: r, place: -1}
}

// note takes note of an observation, and reports whether there is something new about
// the session to be made durable.
func (e *entry) note(v *session.Variant, o *session.Observation, notFoundAfter time.Duration) bool {
	final := o.State.Final()
	switch {
	case e.stopped, e.end == Final:
		return false
	case !final && (e.end != Watching || !o.At.After(e.observed)):
		return false // it was given up, and only its end is news; or it is old, and only its end is
	case o.State != session.Pending && o.State != session.Succeeded && v.Plain() != v:
		// What somebody's further field makes of a session must not end it for others.
		e.doubted = final && e.end == Watching
		return false
	}
	if o.At.After(e.observed) {
		e.observed = o.At
	}
	switch {
	case final:
		e.variant = v // whose answer is kept
		e.endWith(Final, o.State, o)
		return true
	case o.State == session.NotFound:
		if e.missing.IsZero() {
			e.missing = o.At
		}
		if o.At.Sub(e.missing) < notFoundAfter {
			return false
		}
		e.endWith(NotFound, o.State, o)
		return true
	}
	e.missing = time.Time{}
	if o.State != session.Pending {
		return false // nobody has described this state: it may still become another one
	}
	changed := e.keepPending(v, o)
	e.dirty = e.dirty || changed
	if e.announced {
		return changed
	}
	e.announced = true
	if e.state != session.Pending {
		e.state, e.changed, e.dirty = o.State, o.At, true
	}
	e.add(o.State, o, o.At)
	return true
}

// endWith ends the watch in a state that was observed.
func (e *entry) endWith(end End, state session.State, o *session.Observation) {
	e.end, e.state, e.changed, e.dirty = end, state, o.At, true
	e.add(state, o, o.At)
}

func (e *entry) add(state session.State, o *session.Observation, at time.Time) {
	e.changes = append(e.changes, change{event.TypeOf(state), state, o, at})
}

// abandon ends the watch because its deadline has passed; o is the last observation, if
// there is one.
func (e *entry) abandon(o *session.Observation, at time.Time) {
	e.end, e.changed, e.dirty = Abandoned, at, true
	e.changes = append(e.changes, change{event.TypeAbandoned, e.state, o, at})
}

// merge is told what the store knows of the session.
func (e *entry) merge(known record, found bool) {
	e.loaded = true
	switch {
	case !found:
		e.dirty = true
	case e.queued && known.generation < e.generation:
		e.dirty = true // it was being watched once more when the process ended
	case known.end == Watching:
		e.created, e.generation = known.created, known.generation
		fresher := e.pending != nil && (known.pending == nil || e.pending.At.After(known.pending.At) && !sameAnswer(e.pending, known.pending))
		if !fresher {
			e.pending = known.pending
		}
		if known.announced {
			e.announced = true
			e.changes = slices.DeleteFunc(e.changes, func(c change) bool { return c.kind == event.TypePending })
		}
		if e.end == Watching && (known.announced || e.state == session.Unknown) {
			e.state, e.changed, e.dirty = known.state, known.changed, fresher
		}
	case known.end != Final && e.end == Final:
		e.created = known.created // seen after all
	case known.end != Final && e.restart:
		e.dirty = true
	case known.end == NotFound && e.state == session.Pending && len(e.changes) > 0:
		e.created, e.dirty = known.created, true // it exists after all
	default:
		e.record = known
		e.changes, e.dirty = nil, false
	}
}

// describe is what the management API is told.
func (w *Watcher) describe(id string, r record) Session {
	v := r.variant
	return Session{
		ID: id, Account: w.store.ID("acc_", v.Credential), Endpoint: v.Endpoint.Name, Locale: v.Endpoint.Locales[v.Locale].Name, Token: v.Token,
		State: r.state, End: r.end, Created: r.created, Changed: r.changed, Deadline: r.created.Add(w.cfg.Deadline),
	}
}

// dueTimes is a heap of entries, the one that is due first on top.
type dueTimes []*entry

func (d dueTimes) Len() int           { return len(d) }
func (d dueTimes) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d dueTimes) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

// Push is for container/heap.
func (d *dueTimes) Push(x any) {
	e := x.(*entry)
	e.place = len(*d)
	*d = append(*d, e)
}

// Pop is for container/heap.
func (d *dueTimes) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	e.place = -1
	return e
}
