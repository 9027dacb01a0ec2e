package door

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
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

// unheard holds sessions that were seen while it was not known in time who wants to know of them. The zero
// value is empty.
type unheard struct {
	mu  sync.Mutex
	all map[string]sighting // guarded by mu; by the key of the variant
}

// add returns false where there is no room.
func (u *unheard) add(v *session.Variant, at time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.all[v.Key()]; !known && len(u.all) >= mostSeen {
		return false
	}
	if u.all == nil {
		u.all = map[string]sighting{}
	}
	u.all[v.Key()] = sighting{v: v, at: at}
	return true
}

// forget forgets sessions that were erased.
func (u *unheard) forget(erased func(*session.Variant) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.all, func(_ string, each sighting) bool { return erased(each.v) })
}

func (u *unheard) list() []sighting {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Values(u.all))
}

// over forgets one, unless it was seen once more.
func (u *unheard) over(each sighting) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all[each.v.Key()] == each {
		delete(u.all, each.v.Key())
	}
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
	err := d.heard(ctx, v)
	if err == nil {
		return
	}
	d.o.Log.Debug("other replicas may know of subscriptions that this one does not", "session", d.o.ID(v), "error", err)
	if !d.unheard.add(v, at) {
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
		for !d.hearLate() {
			if period.Pause(d.ctx, hearAgain) != nil {
				return
			}
		}
	}
}

// hearLate has who wants to know told of what was seen while that was not known, or returns false if it is
// not known yet.
func (d *Door) hearLate() bool {
	seen := d.unheard.list() // first: whoever wants to know had said so before
	ctx, cancel := context.WithTimeout(d.ctx, lateTime)
	defer cancel()
	if err := d.o.Subscriptions.Current(ctx); err != nil {
		return false
	}
	for _, each := range seen {
		if d.o.Subscriptions.Wants(each.v) {
			d.tellUnheard(each)
		}
		d.unheard.over(each)
	}
	return true
}

// tellUnheard has what was seen of a session told to whoever looks after it, as somebody may want to know.
func (d *Door) tellUnheard(each sighting) {
	result, known := d.statuses.Known(each.v)
	switch {
	case !known: // the poll has failed, or is not over
		d.o.Log.Debug("nothing is known of a session that is wanted", "session", d.o.ID(each.v))
	case !result.OtherVariant:
		d.see(sighting{v: each.v, o: result.Observation, at: result.At, wanted: true})
	}
}

// errUnheard is why nothing is made yet of what another replica has seen.
var errUnheard = errors.New("door: it is not known yet who wants to know of the session")
