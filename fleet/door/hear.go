package door

import (
	"context"
	"errors"
	"time"

	"pollbridge/internal/period"
	"pollbridge/session"
)

const (
	// hearTime bounds how long it is waited for what other replicas know of subscriptions: clients wait for it.
	hearTime = time.Second
	// lateTime bounds it where nobody waits, and hearAgain is how soon it is tried again then.
	lateTime  = 10 * time.Second
	hearAgain = time.Second
)

// unheard is a session that was seen while it was not known in time who wants to know of it.
type unheard struct {
	v       *session.Variant
	at      time.Time            // when it was last seen
	o       *session.Observation // the last one, or the first final one; nil: none since
	started bool                 // a call has started the session
}

func (u unheard) of() *session.Variant { return u.v }

// noteUnheard notes what is observed of a session, if it is unheard.
func (d *Door) noteUnheard(v *session.Variant, o *session.Observation) {
	d.unheard.change(v, func(known unheard) unheard {
		if known.o == nil || !known.o.State.Final() {
			known.o = asTold(o)
		}
		return known
	})
}

// heard has this replica know who wants to know of v's session, be it since a moment ago, by a subscription
// that was made at another one. The error is why it does not in a bounded time.
func (d *Door) heard(ctx context.Context, v *session.Variant) error {
	if d.o.Subscriptions.Wants(v) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hearTime)
	defer cancel()
	return d.o.Subscriptions.Current(ctx)
}

// hear is heard for a session that is about to be observed. What is not heard in time is heard later.
func (d *Door) hear(ctx context.Context, v *session.Variant) {
	at := time.Now()
	if err := d.heard(ctx, v); err != nil {
		d.hearLater(v, at, false, err)
	}
}

func (d *Door) hearLater(v *session.Variant, at time.Time, started bool, why error) {
	d.o.Log.Debug("other replicas may know of subscriptions that this one does not", "session", d.o.ID(v), "error", why)
	if !d.unheard.put(v, func(known unheard, _ bool) unheard {
		known.v, known.at, known.started = v, at, known.started || started
		return known
	}) {
		d.o.Log.Error("too many sessions wait for subscriptions to be known: one may not be watched", "session", d.o.ID(v))
	}
	select {
	case d.late <- struct{}{}:
	default:
	}
}

// hearUntilClosed hears later what was not heard in time.
func (d *Door) hearUntilClosed() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.late:
		}
		for !d.hearLate() && period.Pause(d.ctx, hearAgain) == nil {
		}
	}
}

// unheardTime is for how long it is tried to tell of what was seen.
const unheardTime = 30 * time.Second

// hearLate has who wants to know told of what was seen while that was not known. It returns false if
// something is left, as that is not known yet.
func (d *Door) hearLate() bool {
	seen := d.unheard.list() // first: whoever wants to know had said so before
	ctx, cancel := context.WithTimeout(d.ctx, lateTime)
	defer cancel()
	err := d.o.Subscriptions.Current(ctx)
	left := 0
	for _, each := range seen {
		switch {
		case d.over(sighting{v: each.v, at: each.at}):
		case err != nil, d.o.Subscriptions.Wants(each.v) && !d.tellUnheard(each) && time.Since(each.at) < unheardTime:
			left++
			continue
		}
		if !d.unheard.over(each) {
			left++
		}
	}
	return left == 0
}

// TellUnheard has what was seen of sessions told to whoever looks after them, as somebody may want to know
// who is not known here. It is called when this replica looks after none any more.
func (d *Door) TellUnheard() {
	for _, each := range d.unheard.list() {
		if d.tellUnheard(each) {
			d.unheard.over(each)
		}
	}
}

// tellUnheard has what was seen of a session told to whoever looks after it. It returns false where
// nothing was yet: the poll may not be over.
func (d *Door) tellUnheard(each unheard) bool {
	o := each.o
	if o == nil && !each.started {
		if result, known := d.statuses.Known(each.v); known && !result.OtherVariant {
			o = result.Observation
		}
	}
	switch {
	case o != nil:
		d.see(sighting{v: each.v, o: o, at: o.At, wanted: true})
	case each.started:
		d.see(sighting{v: each.v, at: each.at, wanted: true})
	default:
		return false
	}
	return true
}

// errUnheard is why nothing is made yet of what another replica has seen.
var errUnheard = errors.New("door: it is not known yet who wants to know of the session")
