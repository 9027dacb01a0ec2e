package door

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nuid"

	"pollbridge/fleet"
	"pollbridge/session"
	"pollbridge/store"
)

const (
	eraseKind   = "erase"   // everybody is told to erase
	erasureKind = "erasure" // everybody is told which erasure that was
	erasedKind  = "erased"  // is announced
)

// erasure is one erasure of a session. An earlier version says nothing of it, and hears nothing.
type erasure struct {
	Version int    `json:"v"`
	ID      string `json:"id"`                // of the erasure
	Session string `json:"session,omitempty"` // its id; where that is announced, the key says so
}

// erasureVersion is that of an erasure. What a later one adds, an earlier one leaves out.
const erasureVersion = 1

// Erase has all replicas forget what they know about v's question, see cache.Statuses.Erase. Those
// that are cut off forget the session before they act for anybody again. The error names those that
// are there and have not heard it.
func (d *Door) Erase(ctx context.Context, v *session.Variant) error {
	id, this := d.o.ID(v), nuid.Next()
	d.forget(v)
	if err := d.o.Fleet.TellEverybody(ctx, eraseKind, v.AppendDurable(nil)); err != nil {
		return err
	}
	d.erasures.heardOf(id, this)
	// After that: who knows of this erasure has forgotten the session. Who does not hear it does so
	// twice.
	_ = d.o.Fleet.TellEverybody(ctx, erasureKind, store.JSON(erasure{erasureVersion, this, id}))
	if err := d.withdrawHeld(ctx, id); err != nil {
		return err
	}
	// Last: whoever hears of this first was not there to be told.
	return d.o.Fleet.Announce(ctx, erasedKind, id, store.JSON(erasure{Version: erasureVersion, ID: this}), d.o.Remembered)
}

func (d *Door) eraseHere(_ context.Context, message []byte) []byte {
	v, err := d.o.Table.ReadDurable(message)
	if err != nil {
		d.o.Log.Error("what another replica wants to be erased cannot be read", "error", err)
		return nil
	}
	d.forget(v)
	return nil
}

// erasureHere is told which erasure it was that this replica was told of.
func (d *Door) erasureHere(_ context.Context, message []byte) []byte {
	var told erasure
	if err := json.Unmarshal(message, &told); err != nil {
		d.o.Log.Error("what another replica has erased cannot be read", "error", err)
		return nil
	}
	d.erasures.heardOf(told.Session, told.ID)
	return nil
}

func (d *Door) forget(v *session.Variant) {
	d.erasures.add(d.o.ID(v), time.Now())
	erased := func(seen *session.Variant) bool { return session.SessionKey(seen.Key()) == session.SessionKey(v.Key()) }
	d.seen.forget(erased)
	d.unheard.forget(erased)
	d.statuses.Erase(v)
}

// erasures are the sessions that were erased of late. The zero value has none.
type erasures struct {
	mu     sync.Mutex
	all    map[string]erased   // by the session's id; guarded by mu, as below
	missed map[string]struct{} // those that this replica was not told to erase
}

// erased is the last erasure of a session.
type erased struct {
	at time.Time
	is string // its id; empty: it is not known
}

// sameErasure is longer than it takes an earlier version, which does not say which one it is, to tell
// everybody of an erasure before it is announced.
const sameErasure = 30 * time.Second

// add is told that a session was erased here.
func (e *erasures) add(id string, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addLocked(id, at)
}

func (e *erasures) addLocked(id string, at time.Time) {
	if e.all == nil {
		e.all, e.missed = map[string]erased{}, map[string]struct{}{}
	}
	known := e.all[id]
	if at.After(known.at) {
		known.at = at
	}
	e.all[id] = known
}

// heardOf is told which erasure that was.
func (e *erasures) heardOf(id, erasure string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if known, ok := e.all[id]; ok {
		known.is = erasure
		e.all[id] = known
	}
}

// announced is told of an erasure, and reports whether it was not known.
func (e *erasures) announced(id, erasure string, at time.Time) (news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.all[id]
	e.addLocked(id, at)
	if erasure == "" { // an earlier version does not say which one it is
		return !ok || at.Sub(known.at) > sameErasure
	}
	now := e.all[id]
	now.is = erasure
	e.all[id] = now
	return known.is != erasure
}

func (e *erasures) over(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.all, id)
}

// after reports whether a session was erased after a time.
func (e *erasures) after(id string, at time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.all[id]
	return ok && known.at.After(at)
}

func (e *erasures) miss(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missed[id] = struct{}{}
}

// takeMissed returns what was missed, once. What is remembered from before a time is over: that may
// have been missed, too.
func (e *erasures) takeMissed(before time.Time) (missed map[string]struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.all, func(_ string, known erased) bool { return known.at.Before(before) })
	missed, e.missed = e.missed, map[string]struct{}{}
	return missed
}

// erasedElsewhere is told of what any replica has erased. Where this one was not told to do so, it
// was cut off: it forgets the session by its id, as nothing else is announced.
func (d *Door) erasedElsewhere(a fleet.Announcement) {
	if a.Left == 0 {
		d.erasures.over(a.Key)
		return
	}
	var this erasure
	if len(a.Message) > 0 { // an earlier version says nothing
		if err := json.Unmarshal(a.Message, &this); err != nil {
			d.o.Log.Error("what another replica has erased cannot be read", "error", err)
		}
	}
	if !d.erasures.announced(a.Key, this.ID, a.At) {
		return
	}
	if d.watches != nil {
		d.watches.Erased(a.Key)
	}
	d.erasures.miss(a.Key)
	select {
	case d.missed <- struct{}{}:
	default:
	}
}

// forgetMissed forgets what was erased elsewhere, until the door closes. It looks at all that is
// known, so many erasures are one.
func (d *Door) forgetMissed() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.missed:
		}
		missed := d.erasures.takeMissed(time.Now().Add(-d.o.Remembered))
		erased := func(v *session.Variant) bool { _, is := missed[d.o.ID(v)]; return is }
		d.seen.forget(erased)
		d.unheard.forget(erased)
		d.statuses.EraseThose(func(key string) bool {
			v, err := d.o.Table.OfKey(key)
			return err == nil && erased(v)
		})
	}
}
