package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pollbridge/store"
)

// holding is a slot that this replica holds.
type holding struct {
	from      time.Time // when whoever held it before has surely stopped
	answering *store.Answering
}

func (h *holding) stopAnswering() {
	if h.answering != nil {
		h.answering.Stop()
	}
}

// want is a slot that somebody cannot wait for: its holder does not answer.
type want struct {
	slot  int
	owner string        // who that is
	done  chan struct{} // closed when it was tried to take it
}

func (f *Fleet) slotChanged(name string, c store.Change) {
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 || n >= Slots {
		return
	}
	var r slotRecord
	if !c.Gone {
		if err := json.Unmarshal(c.Value, &r); err != nil {
			f.log.Warn("a slot of the fleet cannot be read", "slot", n, "error", err)
		}
	}
	f.mu.Lock()
	if c.Revision <= f.slots[n].revision { // it is known, from the write
		f.mu.Unlock()
		return
	}
	f.slots[n] = slot{r.Owner, r.Keeper, c.Revision, time.Now()}
	if h := f.held[n]; h != nil && r.Owner != f.id {
		f.log.Warn("another replica has taken over", "slot", n, "replica", r.Owner)
		delete(f.held, n)
		f.lost[n] = h
	}
	f.mu.Unlock()
	if r.Owner != f.id {
		f.wakeUp()
	}
}

// endLost ends what goes on about slots that others have taken.
func (f *Fleet) endLost() {
	f.mu.Lock()
	lost := f.lost
	f.lost = map[int]*holding{}
	f.mu.Unlock()
	if len(lost) == 0 {
		return
	}
	for _, h := range lost {
		h.stopAnswering()
	}
	f.holder.End(slices.Collect(maps.Keys(lost)))
}

// aliveLocked reports whether a replica is there, as far as is known here.
func (f *Fleet) aliveLocked(p *peer) bool {
	if p == nil || p.silent {
		return false
	}
	late := f.newest.Sub(p.at) > f.timing.dead
	// The store's clock may jump with its leader; what was there at the start is judged by it
	// alone, or a fleet that was killed would wait for itself.
	return !late || !p.heard.IsZero() && time.Since(p.heard) < f.timing.dead-f.timing.heartbeat
}

// fencedLocked reports whether this replica must not act as the holder of what it holds: others
// may be about to take it.
func (f *Fleet) fencedLocked() bool { return time.Since(f.renewed) >= f.timing.fenced }

// currentLocked reports whether what is known of others is current.
func (f *Fleet) currentLocked() bool { return time.Since(f.ownHeard) < 5*f.timing.heartbeat/2 }

// Holds reports whether this replica looks after a session now.
func (f *Fleet) Holds(sessionID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[SlotOf(sessionID)] != nil && !f.fencedLocked()
}

// Owns reports whether a session is this replica's, though it may not know for the moment whether
// others think so.
func (f *Fleet) Owns(sessionID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[SlotOf(sessionID)] != nil
}

// Ready waits until whoever looked after a session before has surely stopped. The error is the
// cause of ctx.
func (f *Fleet) Ready(ctx context.Context, sessionID string) error {
	f.mu.Lock()
	h := f.held[SlotOf(sessionID)]
	f.mu.Unlock()
	if h == nil {
		return nil
	}
	left := time.Until(h.from)
	if left <= 0 {
		return nil
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *Fleet) balanceUntilClosed() {
	tick := time.NewTicker(f.timing.heartbeat / 2)
	defer tick.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		case <-f.wake:
		case w := <-f.wants:
			f.endLost() // or what was taken back would be ended
			f.takeWanted(w)
			continue
		}
		f.endLost()
		f.balance()
	}
}

// takeWanted takes slots whose holder does not answer.
func (f *Fleet) takeWanted(first want) {
	wanted := []want{first}
	for len(f.wants) > 0 {
		wanted = append(wanted, <-f.wants)
	}
	free := map[int]uint64{}
	f.mu.Lock()
	for _, w := range wanted {
		if f.slots[w.slot].owner != w.owner || f.held[w.slot] != nil {
			continue // it has changed hands since
		}
		if p := f.peers[w.owner]; p != nil {
			p.silent = true
		}
		free[w.slot] = f.slots[w.slot].revision
	}
	may := f.currentLocked() && !f.own.Draining
	f.mu.Unlock()
	if may {
		f.take(free)
	}
	for _, w := range wanted {
		close(w.done)
	}
}

// balance takes slots without a holder, or gives some back, until this replica has its share.
func (f *Fleet) balance() {
	take, surplus := f.plan()
	f.take(take)
	ctx, cancel := context.WithTimeout(f.ctx, callTime)
	defer cancel()
	f.release(ctx, surplus)
}

// plan returns which slots to take, with the revisions of which that was found out, or to give
// back.
func (f *Fleet) plan() (take map[int]uint64, surplus []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.currentLocked() || f.own.Draining {
		return nil, nil
	}
	var alive []string // and able to hold something
	well := false
	for id, p := range f.peers {
		if f.aliveLocked(p) && !p.Draining {
			alive = append(alive, id)
			well = well || !p.Unwell
		}
	}
	if well { // those who cannot reach the upstream leave it to the others, unless these come to that, too
		alive = slices.DeleteFunc(alive, func(id string) bool { return f.peers[id].Unwell && time.Since(f.peers[id].unwell) > f.timing.unwell })
	}
	slices.Sort(alive)
	held := f.heldLocked()
	var free []int
	for n, s := range f.slots {
		// A write of this replica that seemed to fail may have been made.
		mine := s.owner == f.id && f.held[n] == nil
		if s.owner == "" || mine || !f.aliveLocked(f.peers[s.owner]) {
			free = append(free, n)
		}
	}
	mine, share := len(f.held), f.share(alive)
	if missing := share - mine; missing > 0 {
		take = map[int]uint64{}
		for _, i := range rand.Perm(len(free))[:min(missing, len(free))] { // or all would take the same
			take[free[i]] = f.slots[free[i]].revision
		}
		return take, nil
	}
	// Only where somebody is there to take it.
	short := 0
	for i, id := range alive {
		short += max(0, shareOf(i, len(alive))-held[id])
	}
	short -= len(free)
	for n := range f.held {
		if len(surplus) < min(mine-share, short) {
			surplus = append(surplus, n)
		}
	}
	return nil, surplus
}

// share is how many slots this replica should hold.
func (f *Fleet) share(alive []string) int {
	i := slices.Index(alive, f.id)
	if i < 0 {
		return 0
	}
	return shareOf(i, len(alive))
}

// shareOf is how many slots the i-th of n replicas should hold.
func shareOf(i, n int) int {
	share := Slots / n
	if i < Slots%n {
		share++
	}
	return share
}

// atOnce is how many slots change hands at a time.
const atOnce = 16

// take takes slots that have these revisions, as far as nobody is quicker. What it has got it
// answers for at once: who asks in vain for long takes it for dead.
func (f *Fleet) take(wanted map[int]uint64) {
	for some := range slices.Chunk(slices.Collect(maps.Keys(wanted)), atOnce) {
		taken := make([]Slot, len(some))
		var taking sync.WaitGroup
		for i, n := range some {
			taking.Go(func() { taken[i] = f.takeOne(n, wanted[n]) })
		}
		taking.Wait()
		taken = slices.DeleteFunc(taken, func(s Slot) bool { return s.Number < 0 })
		if len(taken) > 0 {
			f.holder.Begin(taken)
		}
		for _, s := range taken {
			f.answer(s.Number)
		}
	}
}

// takeOne returns the slot, or one with a negative number if somebody was quicker.
func (f *Fleet) takeOne(n int, before uint64) Slot {
	none := Slot{Number: -1}
	ctx, cancel := context.WithTimeout(f.ctx, callTime)
	defer cancel()
	f.mu.Lock()
	from := f.slots[n].keeper
	f.mu.Unlock()
	value := encoded(slotRecord{Version: recordVersion, Owner: f.id, Keeper: f.id})
	var revision uint64
	var err error
	if before == 0 {
		revision, err = f.bucket.Create(ctx, slotKey+SlotName(n), value, 0)
	} else {
		revision, err = f.bucket.Update(ctx, slotKey+SlotName(n), value, before, 0)
	}
	if err != nil {
		if !errors.Is(err, store.ErrConflict) && f.ctx.Err() == nil {
			f.log.Warn("a slot of the fleet cannot be taken", "slot", n, "error", err)
		}
		return none
	}
	h := &holding{}
	if before != 0 {
		h.from = time.Now().Add(f.window)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if revision < f.slots[n].revision {
		return none // it was lost already
	}
	f.slots[n] = slot{f.id, f.id, revision, time.Now()}
	f.held[n] = h
	return Slot{n, from, h.from}
}

// release hands slots back, once nothing goes on about their sessions.
func (f *Fleet) release(ctx context.Context, surplus []int) {
	if len(surplus) == 0 {
		return
	}
	var left []int
	revisions := map[int]uint64{}
	f.mu.Lock()
	for _, n := range surplus {
		if h := f.held[n]; h != nil {
			h.stopAnswering()
			delete(f.held, n)
			left, revisions[n] = append(left, n), f.slots[n].revision
		}
	}
	f.mu.Unlock()
	f.holder.End(left)
	var releasing errgroup.Group
	releasing.SetLimit(atOnce)
	for _, n := range left {
		releasing.Go(func() error {
			_, err := f.bucket.Update(ctx, slotKey+SlotName(n), encoded(slotRecord{Version: recordVersion, Keeper: f.id}), revisions[n], 0)
			if err != nil && !errors.Is(err, store.ErrConflict) {
				f.log.Warn("a slot of the fleet cannot be handed over, others take it after a while", "slot", n, "error", err)
			}
			return nil
		})
	}
	releasing.Wait()
}
